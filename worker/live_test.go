package worker_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// seen collects the positions that an effect handled.
type seen struct {
	mu        sync.Mutex
	positions []event.Position
}

func (s *seen) handle(_ context.Context, _ Deposited, ev event.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.positions = append(s.positions, ev.Position)
	return nil
}

func (s *seen) are(want ...event.Position) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Equal(s.positions, want)
}

// A live worker reads few events without the indexes; what it must leave out it leaves out
// itself.
func TestALiveWorkerHandlesWhatItsFilterSelectsOnly(t *testing.T) {
	north := "north"
	for name, c := range map[string]struct {
		options projection.Options
		want    []event.Position
	}{
		"types":       {projection.Options{}, []event.Position{1, 3, 4}},
		"streams":     {projection.Options{Streams: []event.Stream{accounts.Stream("b")}}, []event.Position{3}},
		"routing key": {projection.Options{RoutingKey: &north}, []event.Position{4}},
		"no routing":  {projection.Options{RoutingKey: new("")}, []event.Position{1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				var s seen
				w := b.start(b.config(mailer(c.options, s.handle)))
				w.becomes(worker.Live)
				b.deposit(1, "a")
				b.note()
				b.deposit(1, "b")
				_, err := b.store.Append(context.Background(), store.Batch{
					Stream: accounts.Stream("c"), RoutingKey: north, Expect: store.Any, Events: event.Of(Deposited{Cents: 1}),
				})
				if err != nil {
					b.Fatal(err)
				}
				pass(time.Second)
				if !s.are(c.want...) {
					b.Errorf("handled %v, want %v", s.positions, c.want)
				}
				w.waits(4)
				w.drains()
			})
		})
	}
}

func TestALiveEffectGathersWhatItCommits(t *testing.T) {
	bubble(t, func(b *bed) {
		var s seen
		p := mailer(projection.Options{}, s.handle)
		w := b.start(b.config(p))
		w.becomes(worker.Live)
		for range 3 {
			b.deposit(1, "a")
			pass(time.Millisecond)
		}
		synctest.Wait()
		if info := b.info(p); !s.are(1, 2, 3) || info.Checkpoint != 0 {
			b.Fatalf("handled %v, checkpoint %d; a commit for each event slows the appends down", s.positions, info.Checkpoint)
		}
		pass(20 * time.Millisecond)
		if info := b.info(p); info.Checkpoint != 3 {
			b.Fatalf("checkpoint %d long after three events", info.Checkpoint)
		}
		w.drains()
	})
}

func TestAnEffectGoesOnAfterALongRest(t *testing.T) {
	bubble(t, func(b *bed) {
		var s seen
		w := b.start(b.config(mailer(projection.Options{Concurrency: 3}, s.handle)))
		w.becomes(worker.Live)
		want := []event.Position{}
		for range 3 {
			want = append(want, b.deposit(1, "a"))
			w.waits(want[len(want)-1])
			pass(5 * time.Second)
		}
		if !s.are(want...) {
			b.Errorf("handled %v, want %v", s.positions, want)
		}
		w.drains()
	})
}
