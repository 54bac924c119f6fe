package projection_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

func TestLoadIsAsOfNowWithoutAnEngine(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	empty, err := m.Load(t.Context(), st, ann)
	if err != nil || empty.Version != 0 || empty.Value.Cents != 0 || empty.Key != "ann" {
		t.Fatalf("%+v, %v", empty, err)
	}
	if b := empty.Batch(Deposited{1}); b.Expect != store.NoStream || b.Stream != ann {
		t.Fatalf("%+v", b)
	}
	appendTo(t, st, ann, Deposited{100}, Withdrawn{30}, Opened{"not folded, but seen"})
	appendTo(t, st, Accounts.Stream("bob"), Deposited{5})
	got, err := m.Load(t.Context(), st, ann)
	if err != nil || got.Value.Cents != 70 || got.Version != 3 || got.Position != 4 || got.Blocked {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := st.Append(t.Context(), got.Batch(Deposited{1})); err != nil {
		t.Fatalf("the batch of a state that saw every event: %v", err)
	}
	if _, err := st.Append(t.Context(), got.Batch(Deposited{1})); !errors.Is(err, store.ErrConflict) {
		t.Fatalf("the batch of a state that is no longer true: %v", err)
	}
}

// The stored state is a lie on purpose: only a Load that begins with it can return it.
func TestLoadBeginsWithTheEnginesState(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{100}, Opened{"seen"})
	build(t, st, m, 0, 2)
	lie(t, st, 0, store.Snapshot{State: []byte(`{"Cents":1000}`), Position: 1, Version: 1})
	appendTo(t, st, ann, Deposited{7})

	got, err := m.Load(t.Context(), st, ann)
	if err != nil || got.Value.Cents != 1007 || got.Version != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, other := range map[string]*projection.Model[Balance]{
		"another revision": m.With(projection.Options{Revision: 1}),
		"another filter":   projection.NewModel("balances", projection.Fold(deposit)),
	} {
		if got, err := other.Load(t.Context(), st, ann); err != nil || got.Value.Cents != 107 {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := m.Load(t.Context(), st, ann, Accounts.Stream("bob")); err != nil || got.Value.Cents != 107 {
		t.Errorf("with a second stream: %+v, %v", got, err)
	}
}

// lie overwrites the committed state of ann's balance.
func lie(t *testing.T, st *store.Store, generation uint32, sn store.Snapshot) {
	t.Helper()
	key := store.SubscriberKey{Projection: "balances", Generation: generation}
	lease, err := st.Subscriber(key).Claim(t.Context(), event.NewID(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	sn.Key.Key, sn.ContentType = "ann", "application/json"
	at := lease.Checkpoint()
	if _, err := lease.Commit(t.Context(), store.Commit{From: at, To: at, Save: []store.Snapshot{sn}}); err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAStoredStateThatCannotBeReadIsNotUsed(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{100})
	build(t, st, m, 0, 1)
	lie(t, st, 0, store.Snapshot{State: []byte(`{`), Position: 1, Version: 1})
	if got, err := m.Load(t.Context(), st, ann); err != nil || got.Value.Cents != 100 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := m.Get(t.Context(), st, "ann"); err == nil {
		t.Fatal("Get of a damaged state")
	} else if _, ok := errors.AsType[*snapshot.DecodeError](err); !ok {
		t.Fatal(err)
	}
}

func TestLoadKeepsSnapshots(t *testing.T) {
	t.Parallel()
	st := setup(t)
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{1}, Deposited{2}, Deposited{3})
	for _, c := range []struct {
		every int
		want  bool
	}{{0, false}, {4, false}, {projection.SnapshotNever, false}, {3, true}} {
		m := balances().With(projection.Options{SnapshotEvery: c.every})
		if _, err := m.Load(t.Context(), st, ann); err != nil {
			t.Fatal(err)
		}
		p := m.Program()
		key := snapshot.OnDemandKey(p.Name, p.Revision, p.Fingerprint, p.Filter(nil), ann)
		sn, err := st.Snapshot(t.Context(), key)
		if (err == nil) != c.want {
			t.Fatalf("every %d: %+v, %v", c.every, sn, err)
		}
		if !c.want {
			continue
		}
		if sn.Version != 3 || sn.Position != 3 {
			t.Errorf("kept as of version %d, position %d", sn.Version, sn.Position)
		}
		// A lie, to see that it is used.
		sn.State, sn.Position = []byte(`{"Cents":1000}`), 3
		if err := st.SaveSnapshot(t.Context(), sn); err != nil {
			t.Fatal(err)
		}
		appendTo(t, st, ann, Deposited{4})
		got, err := m.Load(t.Context(), st, ann)
		if err != nil || got.Value.Cents != 1004 || got.Version != 4 {
			t.Fatalf("%+v, %v", got, err)
		}
		if old, err := m.LoadAt(t.Context(), st, store.AtPosition(2), ann); err != nil || old.Value.Cents != 3 || old.Version != 2 {
			t.Fatalf("a snapshot from later was used: %+v, %v", old, err)
		}
	}
}

func TestLoadOfSeveralStreams(t *testing.T) {
	t.Parallel()
	st := setup(t)
	type details struct {
		Name  string
		Cents int64
	}
	m := projection.NewModel("details",
		projection.Fold(func(d *details, e Deposited, _ event.Event) error { d.Cents += e.Cents; return nil }),
		projection.Fold(func(d *details, e Renamed, _ event.Event) error { d.Name = e.Name; return nil }),
	)
	ann, owner := Accounts.Stream("ann"), Owners.Stream("ann")
	appendTo(t, st, ann, Deposited{5})
	appendTo(t, st, owner, Renamed{"Ann"}, Renamed{"Anna"})
	appendTo(t, st, ann, Deposited{6})
	got, err := m.Load(t.Context(), st, ann, owner)
	if err != nil || got.Value != (details{"Anna", 11}) || got.Version != 2 || got.Position != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	if got, err := m.LoadAt(t.Context(), st, store.AtPosition(2), ann, owner); err != nil || got.Value != (details{"Ann", 5}) {
		t.Fatalf("%+v, %v", got, err)
	}
	if m.Program().Fault == nil {
		t.Error("it could run, mixing streams of the same id")
	}
	if _, err := m.LoadKey(t.Context(), st, "ann"); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("LoadKey without keys: %v", err)
	}
	for name, streams := range map[string][]event.Stream{"twice": {ann, ann}, "bad": {ann, {}}} {
		if _, err := m.Load(t.Context(), st, streams[0], streams[1:]...); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoadAtTravelsInTime(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	first := appendTo(t, st, ann, Deposited{1})
	appendTo(t, st, Accounts.Stream("bob"), Deposited{50})
	appendTo(t, st, ann, Deposited{10}, Deposited{100})
	build(t, st, m, 0, head(t, st))
	for name, c := range map[string]struct {
		at      store.Point
		cents   int64
		version uint64
	}{
		"a position":              {store.AtPosition(2), 1, 1},
		"before everything":       {store.AtPosition(0), 0, 0},
		"a version":               {store.AtVersion(ann, 2), 11, 2},
		"the head":                {store.AtHead(), 111, 3},
		"a position to come":      {store.AtPosition(99), 111, 3},
		"a time before":           {store.AtTime(first.Time.Add(-time.Hour)), 0, 0},
		"a time to come":          {store.AtTime(time.Now().Add(time.Hour)), 111, 3},
		"the version of another":  {store.AtVersion(Accounts.Stream("bob"), 1), 1, 1},
		"the zero point (latest)": {store.Point{}, 111, 3},
	} {
		got, err := m.LoadAt(t.Context(), st, c.at, ann)
		if err != nil || got.Value.Cents != c.cents || got.Version != c.version {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if b := got.Batch(Deposited{1}); b.Stream != (event.Stream{}) {
			t.Errorf("%s: a state of the past makes a batch for %s", name, b.Stream)
		}
	}
	if _, err := m.LoadAt(t.Context(), st, store.AtVersion(ann, 9), ann); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a version that does not exist: %v", err)
	}
}

func TestAFoldMaySkipAnEventWhateverItDidBefore(t *testing.T) {
	t.Parallel()
	st := setup(t)
	m := projection.NewModel("balances",
		projection.Fold(deposit),
		projection.Fold(func(b *Balance, e Withdrawn, _ event.Event) error {
			b.Cents -= e.Cents
			return projection.Skip(errOverdrawn)
		}))
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{1}, Withdrawn{50}, Deposited{2}, Withdrawn{50})
	got, err := m.Load(t.Context(), st, ann)
	if err != nil || got.Value.Cents != 3 || got.Version != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	build(t, st, m, 0, 4)
	if got, err := m.Get(t.Context(), st, "ann"); err != nil || got.Value.Cents != 3 || got.Blocked {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestWhatAnOperatorSkippedIsLeftOut(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{1}, Withdrawn{50}, Deposited{2})
	register(t, st, m.Program(), 0)
	if _, err := m.Load(t.Context(), st, ann); err == nil {
		t.Fatal("the second event was left out")
	}
	row, err := st.Projection(t.Context(), "balances")
	if err != nil {
		t.Fatal(err)
	}
	row.Skips = []store.Skip{{Key: "ann", Position: 2}, {Key: "bob", Position: 3}}
	if _, err := st.SaveProjection(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	got, err := m.Load(t.Context(), st, ann)
	if err != nil || got.Value.Cents != 3 || got.Version != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
}

// The failure policy has skipped an event for good, by a row that says so.
func TestWhatAPolicySkippedIsLeftOut(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{1}, Withdrawn{50}, Deposited{2})
	register(t, st, m.Program(), 0)
	lease, err := st.Subscriber(store.SubscriberKey{Projection: "balances"}).Claim(t.Context(), event.NewID(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lease.Commit(t.Context(), store.Commit{To: 2, Rows: []store.Row{{Key: "ann", Position: 2, State: store.Skipped}}}); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Load(t.Context(), st, ann); err != nil || got.Value.Cents != 3 || got.Version != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
}

// replica is one that nobody shall ask: it may be behind.
type replica struct{ store.Driver }

var errReplica = errors.New("the replica was asked")

func (replica) Read(context.Context, store.Scan) (store.ScanResult, error) {
	return store.ScanResult{}, errReplica
}

func (replica) Head(context.Context) (store.Head, error) { return store.Head{}, errReplica }

func (replica) Close() error { return nil }

// A decision on what a replica has would conflict until that has caught up.
func TestLoadsReadThePrimary(t *testing.T) {
	t.Parallel()
	st, err := pebblestore.OpenMem(&pebblestore.Options{Store: store.Options{Replica: replica{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{1})
	if _, err := st.Read(t.Context(), store.Query{}); !errors.Is(err, errReplica) {
		t.Fatalf("a read does not ask the replica: %v", err)
	}
	m := balances()
	if s, err := m.Load(t.Context(), st, ann); err != nil || s.Value.Cents != 1 {
		t.Errorf("Load: %+v, %v", s, err)
	}
	if s, err := m.LoadAt(t.Context(), st, store.AtPosition(1), ann); err != nil || s.Value.Cents != 1 {
		t.Errorf("LoadAt: %+v, %v", s, err)
	}
	if s, err := m.LoadKey(t.Context(), st, "ann"); err != nil || s.Value.Cents != 1 {
		t.Errorf("LoadKey: %+v, %v", s, err)
	}
	_, err = m.Decide(t.Context(), st, ann, func(projection.State[Balance]) ([]event.Payload, error) { return event.Of(Deposited{1}), nil })
	if err != nil {
		t.Errorf("Decide: %v", err)
	}
}

func TestADeletedStateBeginsAnew(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{100}, Closed{}, Deposited{5})
	got, err := m.Load(t.Context(), st, ann)
	if err != nil || got.Value.Cents != 5 || got.Version != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
}

// No stream makes a state of a model with keys of its own.
func TestLoadsByStreamAreRefusedForKeyedModels(t *testing.T) {
	t.Parallel()
	st, m := setup(t), flows()
	s := Transfers.Stream("t")
	appendTo(t, st, s, Completed{"ann", "bob", 1})
	for call, load := range map[string]func() error{
		"Load":   func() error { _, err := m.Load(t.Context(), st, s); return err },
		"LoadAt": func() error { _, err := m.LoadAt(t.Context(), st, store.AtHead(), s); return err },
		"Decide": func() error {
			_, err := m.Decide(t.Context(), st, s, func(projection.State[Flow]) ([]event.Payload, error) {
				t.Error("decided on a state that no stream makes")
				return nil, nil
			})
			return err
		},
	} {
		if err := load(); !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "LoadKey") {
			t.Errorf("%s: %v, want ErrInvalid that names LoadKey", call, err)
		}
	}
}

// What another definition has built is of no use, nor is its checkpoint.
