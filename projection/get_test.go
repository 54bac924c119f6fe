package projection_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestGetReadsWhatWasBuilt(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	if s, err := m.Get(t.Context(), st, "ann"); !errors.Is(err, store.ErrNotFound) || s.Position != 0 {
		t.Fatalf("before anything ran: %+v, %v", s, err)
	}
	appendTo(t, st, Accounts.Stream("ann"), Opened{"o"}, Deposited{100}, Withdrawn{30})
	appendTo(t, st, Accounts.Stream("bob"), Deposited{5})
	build(t, st, m, 0, 4)
	appendTo(t, st, Accounts.Stream("ann"), Deposited{1000}) // not built yet

	got, err := m.Get(t.Context(), st, "ann")
	if err != nil || got.Value.Cents != 70 || got.Position != 4 || got.Version != 3 || got.Key != "ann" || got.Blocked {
		t.Fatalf("%+v, %v", got, err)
	}
	if s, err := m.Get(t.Context(), st, "nobody"); !errors.Is(err, store.ErrNotFound) || s.Position != 4 {
		t.Fatalf("%+v, %v", s, err)
	}
	text, err := json.Marshal(got)
	if want := `{"Key":"ann","Value":{"Cents":70},"Position":"4","Version":3,"Revision":0,"Blocked":false}`; err != nil || string(text) != want {
		t.Fatalf("%s, %v", text, err)
	}
}

func TestADeletedStateIsNotFound(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{100})
	build(t, st, m, 0, 1)
	appendTo(t, st, ann, Closed{})
	build(t, st, m, 0, 2)
	if s, err := m.Get(t.Context(), st, "ann"); !errors.Is(err, store.ErrNotFound) || s.Position != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	appendTo(t, st, ann, Deposited{7})
	build(t, st, m, 0, 3)
	if s, err := m.Get(t.Context(), st, "ann"); err != nil || s.Value.Cents != 7 {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestReadsOfABlockedKeySaySo(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	ann, bob := Accounts.Stream("ann"), Accounts.Stream("bob")
	appendTo(t, st, ann, Deposited{10}, Withdrawn{50}, Deposited{90}) // the second one fails
	appendTo(t, st, bob, Deposited{5})
	build(t, st, m, 0, 4)

	got, err := m.Get(t.Context(), st, "ann")
	if err != nil || !got.Blocked || got.Position != 1 || got.Value.Cents != 10 {
		t.Fatalf("%+v, %v", got, err)
	}
	all := collect(t, m, st, store.Range{})
	if len(all) != 2 || all[0] != got || all[1].Blocked || all[1].Position != 4 {
		t.Fatalf("%+v", all)
	}
	_, err = m.Load(t.Context(), st, ann)
	fe, ok := errors.AsType[*projection.FoldError](err)
	if !ok || fe.Position != 2 || fe.Key != "ann" || fe.Model != "balances" || !errors.Is(err, errOverdrawn) {
		t.Fatalf("Load of a blocked key: %v", err)
	}
}

func collect[S any](t *testing.T, m *projection.Model[S], st *store.Store, r store.Range) []projection.State[S] {
	t.Helper()
	var out []projection.State[S]
	for s, err := range m.All(t.Context(), st, r) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func TestAllYieldsARangeOfKeys(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	if got := collect(t, m, st, store.Range{}); len(got) != 0 {
		t.Fatal(got)
	}
	for i, id := range []string{"eu/ann", "eu/bob", "eu/cid", "us/dan"} {
		appendTo(t, st, Accounts.Stream(id), Deposited{int64(i)})
	}
	build(t, st, m, 0, 4)
	for want, r := range map[string]store.Range{
		"eu/ann eu/bob eu/cid us/dan ": {},
		"eu/ann eu/bob eu/cid ":        {Prefix: "eu/"},
		"eu/bob eu/cid ":               {Prefix: "eu/", After: "eu/ann"},
		"eu/bob ":                      {After: "eu/ann", Limit: 1},
		"":                             {Prefix: "zz"},
	} {
		var text strings.Builder
		for _, s := range collect(t, m, st, r) {
			fmt.Fprint(&text, s.Key, " ")
			if s.Position != 4 {
				t.Errorf("%+v", s)
			}
		}
		if text.String() != want {
			t.Errorf("%+v: %q, want %q", r, text.String(), want)
		}
	}
	for range m.All(t.Context(), st, store.Range{}) {
		break // ending early is fine
	}
}

func TestReadsFollowTheActiveGeneration(t *testing.T) {
	t.Parallel()
	st := setup(t)
	appendTo(t, st, Accounts.Stream("ann"), Deposited{100})
	m := balances()
	build(t, st, m, 0, 1)
	doubled := projection.NewModel("balances",
		projection.Fold(func(b *Balance, e Deposited, _ event.Event) error { b.Cents += 2 * e.Cents; return nil }),
	).With(projection.Options{Revision: 1})
	build(t, st, doubled, 1, 1)
	got, err := doubled.Get(t.Context(), st, "ann")
	if err != nil || got.Value.Cents != 200 || got.Revision != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestOldStatesAreServedOnlyWhereThatIsHonest(t *testing.T) {
	t.Parallel()
	st := setup(t)
	appendTo(t, st, Accounts.Stream("ann"), Deposited{100})
	old := balances().With(projection.Options{Revision: 3})
	build(t, st, old, 0, 1)

	t.Run("a new revision of the same shape", func(t *testing.T) {
		got, err := balances().With(projection.Options{Revision: 4}).Get(t.Context(), st, "ann")
		if err != nil || got.Value.Cents != 100 || got.Revision != 3 {
			t.Fatalf("%+v, %v", got, err)
		}
	})
	t.Run("older code", func(t *testing.T) {
		_, err := balances().With(projection.Options{Revision: 2}).Get(t.Context(), st, "ann")
		if !errors.Is(err, projection.ErrRebuilding) || !strings.Contains(err.Error(), "deploy newer code") {
			t.Fatal(err)
		}
	})
	type wallet struct{ Euros float64 }
	shape := projection.NewModel("balances",
		projection.Fold(func(w *wallet, e Deposited, _ event.Event) error { w.Euros += float64(e.Cents) / 100; return nil }),
	).With(projection.Options{Revision: 4})
	t.Run("another shape", func(t *testing.T) {
		appendTo(t, st, Accounts.Stream("ann"), Deposited{100})
		row, err := st.Projection(t.Context(), "balances")
		if err != nil {
			t.Fatal(err)
		}
		row.Generations = append(row.Generations, store.Generation{Number: 1, Revision: 4, State: store.Building})
		row.Next = 2
		if _, err := st.SaveProjection(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		_, err = shape.Get(t.Context(), st, "ann")
		re, ok := errors.AsType[*projection.RebuildingError](err)
		if !ok || !errors.Is(err, projection.ErrRebuilding) || re.Stored != 3 || re.Wanted != 4 || re.Position != 0 || re.Head != head(t, st) {
			t.Fatalf("%+v", err)
		}
		built, err := st.Subscriber(store.SubscriberKey{Projection: "balances", Generation: 1}).Claim(t.Context(), event.NewID(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := built.Commit(t.Context(), store.Commit{To: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err = shape.Get(t.Context(), st, "ann"); !errors.As(err, &re) || re.Position != 1 {
			t.Fatalf("the progress is not told: %+v", err)
		}
		for _, err := range shape.All(t.Context(), st, store.Range{}) {
			if !errors.Is(err, projection.ErrRebuilding) {
				t.Fatal(err)
			}
		}
	})
	t.Run("another shape with a conversion", func(t *testing.T) {
		m := shape.Convert(func(sn store.Snapshot) (wallet, error) {
			var b Balance
			err := json.Unmarshal(sn.State, &b)
			return wallet{float64(b.Cents) / 100}, err
		})
		got, err := m.Get(t.Context(), st, "ann")
		if err != nil || got.Value.Euros != 1 || got.Revision != 3 {
			t.Fatalf("%+v, %v", got, err)
		}
		if all := collect(t, m, st, store.Range{}); len(all) != 1 || all[0].Value.Euros != 1 {
			t.Fatalf("%+v", all)
		}
		if m.With(projection.Options{}).Program().Model.Convert == nil {
			t.Fatal("With loses the conversion")
		}
	})
	t.Run("loads fold anew", func(t *testing.T) {
		got, err := shape.Load(t.Context(), st, Accounts.Stream("ann"))
		if err != nil || got.Value.Euros != 2 {
			t.Fatalf("%+v, %v", got, err)
		}
	})
}

func TestADeletedProjectionHasNoStates(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances()
	appendTo(t, st, Accounts.Stream("ann"), Deposited{100})
	build(t, st, m.With(projection.Options{Revision: 9}), 0, 1)
	if err := st.DeleteProjection(t.Context(), "balances"); err != nil {
		t.Fatal(err)
	}
	if err := st.DeleteStates(t.Context(), "balances", 0); err != nil {
		t.Fatal(err)
	}
	// Its subscriber is still there: Delete has not got so far.
	if s, err := m.Get(t.Context(), st, "ann"); !errors.Is(err, store.ErrNotFound) || s.Position != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	if s, err := m.LoadKey(t.Context(), st, "ann"); err != nil || s.Value.Cents != 100 {
		t.Fatalf("%+v, %v", s, err)
	}
}
