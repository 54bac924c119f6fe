package projection_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/projectiontest"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
)

// What the runtime adds to reading and unmarshalling one event.
func BenchmarkOneEvent(b *testing.B) {
	ev := projectiontest.NewLog(b).Append(Accounts.Stream("ann"), Deposited{100}).Events[0]
	b.Run("unmarshal", func(b *testing.B) {
		b.ReportAllocs()
		sum := int64(0)
		for b.Loop() {
			var d Deposited
			if err := json.Unmarshal(ev.Data, &d); err != nil {
				b.Fatal(err)
			}
			sum += d.Cents
		}
	})
	b.Run("model", func(b *testing.B) {
		b.ReportAllocs()
		p := balances().Program()
		states := liveStates(b, p)
		for at := event.Position(1); b.Loop(); at++ {
			ev.Position = at
			keys, err := p.Keys(ev)
			if err != nil {
				b.Fatal(err)
			}
			if err := states.Fold(b.Context(), keys[0], ev); err != nil {
				b.Fatal(err)
			}
			if at%10_000 == 0 {
				if _, err := states.Cut(b.Context()); err != nil {
					b.Fatal(err)
				}
				states.Committed()
			}
		}
	})
	b.Run("effect", func(b *testing.B) {
		b.ReportAllocs()
		p := mailer(projection.Options{}).Program()
		for b.Loop() {
			keys, err := p.Keys(ev)
			if err != nil {
				b.Fatal(err)
			}
			ctx := program.NewContext(b.Context(), p, nil, ev, program.Delivery{Key: keys[0], Attempt: 1, Term: 1})
			if err := p.Effect.Handle(ctx, ev); err != nil {
				b.Fatal(err)
			}
			if len(ctx.Emitted()) > 0 {
				b.Fatal("emits")
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	st, m := setup(b), balances()
	ann := Accounts.Stream("ann")
	appendTo(b, st, ann, Deposited{1}, Deposited{2})
	build(b, st, m, 0, 2)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Load(b.Context(), st, ann); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	st, m := setup(b), balances()
	appendTo(b, st, Accounts.Stream("ann"), Deposited{1})
	build(b, st, m, 0, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Get(b.Context(), st, "ann"); err != nil {
			b.Fatal(err)
		}
	}
}

func liveStates(tb testing.TB, p *program.Program) *snapshot.States {
	tb.Helper()
	s, err := snapshot.NewStates(snapshot.Config{
		Load:  func(context.Context, string) (store.Snapshot, error) { return store.Snapshot{}, store.ErrNotFound },
		Event: func(context.Context, event.Position) (event.Event, error) { return event.Event{}, store.ErrNotFound },
		New:   p.Model.New, Decode: p.Model.Decode, Encode: p.Model.Encode, Size: p.Model.Size, Fold: p.Model.Fold,
		Projection: p.Name,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
