package storetest

import (
	"errors"
	"strconv"
	"sync"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func closeRules() []rule {
	return []rule{
		{"Close answers those who wait for events", 0, closeEndsWait},
		{"Close answers those who wait for a lease", needLeaser, closeEndsWaitFree},
		{"what was acknowledged before Close is there after a reopen", needReopen, closeKeepsAcknowledged},
		{"a NoSync commit before Close is there after a reopen", needReopen, closeKeepsNoSync},
		{"a store answers ErrClosed after Close", 0, storeClosed},
	}
}

// closes closes a driver that may have calls in flight.
func (e *env) closes(d store.Driver) {
	e.Helper()
	if err := e.answer(begin(d.Close), "Close"); err != nil {
		e.Errorf("Close: %v", err)
	}
}

func closeEndsWait(e *env) {
	d := e.open()
	e.append(d, accounts.Stream("a"), "opened")
	after := e.head(d)
	waiting := begin(func() error { return d.Wait(e.Context(), after, []store.Match{{Aggregate: accounts}}) })
	e.pause()
	e.closes(d)
	if err := e.answer(waiting, "Wait"); !errors.Is(err, store.ErrClosed) {
		e.Errorf("Wait says %v when the store closes, want ErrClosed", err)
	}
}

func closeEndsWaitFree(e *env) {
	l := e.leaser()
	l.claim("sa", newWorker(), long)
	waiting := begin(func() error { return l.WaitFree(e.Context(), "sa") })
	e.pause()
	e.closes(l.Driver)
	if err := e.answer(waiting, "WaitFree"); !errors.Is(err, store.ErrClosed) {
		e.Errorf("WaitFree says %v when the store closes, want ErrClosed", err)
	}
}

// closeKeepsAcknowledged closes a store under a load. What is refused is not looked at.
func closeKeepsAcknowledged(e *env) {
	d := e.open()
	st := e.store(d)
	var mu sync.Mutex
	acknowledged := map[event.Position]event.ID{}
	under := make(chan struct{})
	appenders := begin(func() error {
		return together(4, func(i int) error {
			begun := sync.OnceFunc(func() { under <- struct{}{} })
			defer begun()
			for n := 0; ; n++ {
				id := event.NewID()
				res, err := st.Append(e.Context(), store.Batch{
					Stream: accounts.Stream(strconv.Itoa(i)), Expect: store.Any,
					Events: []event.Payload{event.Draft{Payload: opened{"ann"}, ID: id}},
				})
				if errors.Is(err, store.ErrClosed) {
					return nil
				}
				if err != nil {
					return err
				}
				mu.Lock()
				acknowledged[res.Position] = id
				mu.Unlock()
				if n == 5 {
					begun()
				}
			}
		})
	})
	for range 4 {
		<-under
	}
	if err := e.answer(begin(st.Close), "Close"); err != nil {
		e.Errorf("Close: %v", err)
	}
	e.need(e.answer(appenders, "appends when the store closes"), "appends when the store closes")
	d = e.reopen(d)
	e.contains(e.verify(d), acknowledged)
}

func closeKeepsNoSync(e *env) {
	d := e.open()
	e.commit(d, &store.Txn{Puts: []store.Record{{Key: "na", Revision: 1}}, NoSync: true})
	d = e.reopen(d)
	e.listed(d, []store.Record{{Key: "na", Revision: 1}})
}
