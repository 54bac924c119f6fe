package worker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/worker"
)

func TestWaitIsAnsweredWhenTheWorkerEnds(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		w := b.start(b.config(m))
		w.becomes(worker.Live)
		answer := make(chan error)
		go func() { answer <- w.Wait(context.Background(), 1000) }()
		synctest.Wait()
		w.Drain()
		err := <-answer
		if !errors.Is(err, worker.ErrUnavailable) {
			b.Fatalf("Wait: %v", err)
		}
		if err := w.Wait(b.Context(), 1000); !errors.Is(err, worker.ErrUnavailable) {
			b.Fatalf("Wait after the end: %v", err)
		}
	})
}

func TestWaitForAPositionThatIsStillToCome(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		w := b.start(b.config(m))
		answer := make(chan error)
		go func() { answer <- w.Wait(context.Background(), 3) }()
		synctest.Wait()
		b.note()
		b.note()
		synctest.Wait()
		select {
		case err := <-answer:
			b.Fatalf("answered too early: %v", err)
		default:
		}
		b.note()
		if err := <-answer; err != nil {
			b.Fatal(err)
		}
		w.drains()
	})
}

func TestAStandbyKnowsWhatTheHolderCommitted(t *testing.T) {
	bubble(t, func(b *bed) {
		m := balances(projection.Options{})
		first := b.start(b.config(m))
		first.becomes(worker.Live)
		second := b.start(b.config(m))
		second.becomes(worker.Standby)
		second.waits(b.deposit(1, "a"))
		if got := b.balance(m, "a").Cents; got != 1 {
			b.Fatalf("%d cents when Wait was answered", got)
		}
		second.waits(b.note()) // concerns nobody: nothing is missing
		second.drains()
		first.drains()
	})
}

func TestReadYourWritesUnderLoad(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := balances(projection.Options{})
	w := b.start(b.config(m))
	done := make(chan struct{})
	for i := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			key := fmt.Sprint(i)
			for n := range 50 {
				pos := b.deposit(1, key)
				w.waits(pos)
				if got := b.balance(m, key).Cents; got != int64(n+1) {
					b.Errorf("%d cents after %d deposits", got, n+1)
					return
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
	w.drains()
}
