package store

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

func TestGateWaitsForThoseInside(t *testing.T) {
	t.Parallel()
	for range 50 {
		g := newGate()
		var inside atomic.Int64
		var wg sync.WaitGroup
		started := make(chan struct{}, 4)
		for range 4 {
			wg.Go(func() {
				started <- struct{}{}
				for g.enter() {
					inside.Add(1)
					inside.Add(-1)
					g.leave()
					runtime.Gosched() // let the one that shuts it in
				}
			})
		}
		for range 4 {
			<-started
		}
		if g.isShut() {
			t.Fatal("shut from the beginning")
		}
		if !g.shut() || g.shut() {
			t.Fatal("the first shut is the first")
		}
		g.wait()
		if n := inside.Load(); n != 0 {
			t.Fatalf("%d inside after wait", n)
		}
		if g.enter() || !g.isShut() {
			t.Fatal("open again")
		}
		wg.Wait()
		g.wait() // also a second time
	}
}

func BenchmarkGate(b *testing.B) {
	g := newGate()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.enter()
			g.leave()
		}
	})
}
