package projection_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

const (
	Accounts  = event.Aggregate("bank/account")
	Owners    = event.Aggregate("bank/owner")
	Transfers = event.Aggregate("bank/transfer")
)

type (
	Opened    struct{ Owner string }
	Deposited struct{ Cents int64 }
	Withdrawn struct{ Cents int64 }
	Closed    struct{}
	Renamed   struct{ Name string }
	Completed struct {
		From, To string
		Cents    int64
	}
)

func (Opened) EventType() event.Type    { return Accounts.Event("opened") }
func (Deposited) EventType() event.Type { return Accounts.Event("deposited") }
func (Withdrawn) EventType() event.Type { return Accounts.Event("withdrawn") }
func (Closed) EventType() event.Type    { return Accounts.Event("closed") }
func (Renamed) EventType() event.Type   { return Owners.Event("renamed") }
func (Completed) EventType() event.Type { return Transfers.Event("completed") }

type Balance struct{ Cents int64 }

var errOverdrawn = errors.New("overdrawn")

func deposit(b *Balance, e Deposited, _ event.Event) error { b.Cents += e.Cents; return nil }

func withdraw(b *Balance, e Withdrawn, _ event.Event) error {
	b.Cents -= e.Cents // before the check: a failing fold leaves half-done work
	if b.Cents < 0 {
		return errOverdrawn
	}
	return nil
}

func closing(*Balance, Closed, event.Event) error { return projection.Delete() }

func balances() *projection.Model[Balance] {
	return projection.NewModel("balances", projection.Fold(deposit), projection.Fold(withdraw), projection.Fold(closing))
}

// Flow has keys from the payload: one event changes two states in two ways.
type Flow struct{ In, Out int64 }

func flows() *projection.Model[Flow] {
	return projection.NewModel("flows",
		projection.FoldBy(func(e Completed, _ event.Event) []string { return []string{e.From} },
			func(f *Flow, e Completed, _ event.Event) error { f.Out += e.Cents; return nil }),
		projection.FoldBy(func(e Completed, _ event.Event) []string { return []string{e.To} },
			func(f *Flow, e Completed, _ event.Event) error {
				if e.Cents < 0 {
					return errOverdrawn
				}
				f.In += e.Cents
				return nil
			}),
	)
}

func setup(t testing.TB) *store.Store {
	t.Helper()
	st, err := pebblestore.OpenMem(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return st
}

func appendTo(t testing.TB, st *store.Store, s event.Stream, payloads ...event.Payload) store.Result {
	t.Helper()
	res, err := st.Append(t.Context(), store.Batch{Stream: s, Expect: store.Any, Events: event.Of(payloads...)})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// build does what an engine would: a row for the projection, and one commit of everything
// up to a position, with failing events parked and later ones of their keys behind them.
func build(t testing.TB, st *store.Store, p projection.Projection, generation uint32, to event.Position) {
	t.Helper()
	ctx, prog := t.Context(), p.Program()
	register(t, st, prog, generation)
	key := store.SubscriberKey{Projection: prog.Name, Generation: generation}
	lease, err := st.Subscriber(key).Claim(ctx, event.NewID(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	states, err := snapshot.NewStates(snapshot.Config{
		Load: func(ctx context.Context, key string) (store.Snapshot, error) {
			return st.State(ctx, store.SnapshotKey{Projection: prog.Name, Generation: generation, Key: key})
		},
		Event: st.Event,
		New:   prog.Model.New, Decode: prog.Model.Decode, Encode: prog.Model.Encode, Size: prog.Model.Size, Fold: prog.Model.Fold,
		Projection: prog.Name, Generation: generation, Revision: prog.Revision, PerStream: prog.Model.PerStream,
	})
	if err != nil {
		t.Fatal(err)
	}
	commit := store.Commit{From: lease.Checkpoint(), To: to}
	blocked := make(map[string]bool)
	for row, err := range st.Subscriber(key).Rows(ctx, store.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		blocked[row.Key] = blocked[row.Key] || row.State != store.Skipped
	}
	q := prog.Query(commit.From + 1)
	q.To, q.Limit = store.AtPosition(to), 0
	for ev, err := range st.Events(ctx, q) {
		if err != nil {
			t.Fatal(err)
		}
		keys, err := prog.Keys(ev)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			row := store.Row{Key: k, Position: ev.Position, State: store.Parked, Since: time.Now(), Updated: time.Now()}
			if !blocked[k] {
				err := states.Fold(ctx, k, ev)
				if err == nil {
					continue
				}
				row.Attempts, row.First, row.Last = 1, err.Error(), err.Error()
				if program.Judge(err).Action == program.Skip {
					row.State = store.Skipped
				}
			}
			blocked[k] = row.State == store.Parked
			commit.Rows = append(commit.Rows, row)
		}
	}
	cut, err := states.Cut(ctx)
	if err != nil {
		t.Fatal(err)
	}
	commit.Save, commit.Remove = cut.Save, cut.Remove
	if _, err := lease.Commit(ctx, commit); err != nil {
		t.Fatal(err)
	}
	if err := lease.Release(ctx); err != nil {
		t.Fatal(err)
	}
}

// register makes a generation the active one, as its own program describes it.
func register(t testing.TB, st *store.Store, prog *program.Program, generation uint32) {
	t.Helper()
	row, err := st.Projection(t.Context(), prog.Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.Fatal(err)
	}
	row.Name, row.Kind, row.Active, row.Next = prog.Name, prog.Kind.String(), generation, max(row.Next, generation+1)
	kept := row.Generations[:0]
	for _, g := range row.Generations {
		if g.Number != generation {
			g.State = store.Retired
			kept = append(kept, g)
		}
	}
	row.Generations = append(kept, store.Generation{
		Number: generation, Revision: prog.Revision, Fingerprint: prog.Fingerprint,
		Filter: prog.Filter(st.Options().Schema), State: store.Active,
	})
	if _, err := st.SaveProjection(t.Context(), row); err != nil {
		t.Fatal(err)
	}
}

func head(t testing.TB, st *store.Store) event.Position {
	t.Helper()
	h, err := st.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h.Position
}
