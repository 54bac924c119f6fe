package storetest

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func waitRules() []rule {
	return []rule{
		{"an empty store has a history and no head", 0, emptyHead},
		{"the head has the time of its event", 0, headHasTime},
		{"Wait returns at once for an event that is there", needWake, waitReturnsAtOnce},
		{"Wait wakes for a matching event", needWake, waitWakes},
		{"an aggregate in Wait covers names that come later", needWake, waitCoversNewNames},
		{"no wake-up is lost", needWake, noWakeUpLost},
		{"Wait returns with its context", 0, waitEndsWithContext},
	}
}

func emptyHead(e *env) {
	d := e.open()
	h, err := d.Head(e.Context())
	e.need(err, "head")
	if h.Position != 0 || !h.Time.IsZero() || h.History.IsZero() {
		e.Errorf("the head of an empty store is %+v; want position 0, no time, and a history", h)
	}
	other, err := e.open().Head(e.Context())
	e.need(err, "head")
	if other.History == h.History {
		e.Errorf("two stores have the same history %v", h.History)
	}
	if info := e.info(d, accounts.Stream("a")); info != (store.StreamInfo{}) {
		e.Errorf("a stream without events is %+v", info)
	}
}

func headHasTime(e *env) {
	d := e.open()
	for range 5 {
		res := e.append(d, accounts.Stream("a"), "opened", "closed")
		h, err := d.Head(e.Context())
		e.need(err, "head")
		if h.Position != res.Position || !h.Time.Equal(res.Time) {
			e.Errorf("the head is position %d of %v; the append said %d of %v", h.Position, h.Time, res.Position, res.Time)
		}
	}
	e.verify(d)
}

// selections are ways to select an event named "opened" of the stream "a".
func selections() map[string][]store.Match {
	return map[string][]store.Match{
		"everything":     nil,
		"aggregate":      {{Aggregate: accounts}},
		"name":           {{Aggregate: accounts, Name: "opened"}},
		"stream":         {{Aggregate: accounts, ID: "a"}},
		"name in stream": {{Aggregate: accounts, ID: "a", Name: "opened"}},
		"the second":     {{Aggregate: orders, Name: "opened"}, {Aggregate: accounts, Name: "opened"}},
	}
}

func waitReturnsAtOnce(e *env) {
	d := e.open()
	e.append(d, orders.Stream("z"), "shipped")
	e.append(d, accounts.Stream("a"), "opened")
	for name, match := range selections() {
		ctx, cancel := e.soon()
		if err := d.Wait(ctx, 0, match); err != nil {
			e.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

func waitWakes(e *env) {
	d := e.open()
	e.append(d, accounts.Stream("a"), "opened")
	for name, match := range selections() {
		e.wakes(d, name, match, "opened")
	}
}

// wakes waits at the head for what an append to the stream "a" brings.
func (e *env) wakes(d store.Driver, name string, match []store.Match, stored string) {
	e.Helper()
	ctx, cancel := e.soon()
	defer cancel()
	after := e.head(d)
	done := begin(func() error { return d.Wait(ctx, after, match) })
	e.pause()
	e.append(d, orders.Stream("z"), "shipped")
	e.append(d, accounts.Stream("a"), stored)
	if err := e.answer(done, "Wait for "+name); err != nil {
		e.Errorf("Wait for %s did not wake: %v", name, err)
	}
}

func waitCoversNewNames(e *env) {
	d := e.open()
	e.append(d, accounts.Stream("a"), "opened")
	for i := range 5 {
		name := "new" + strconv.Itoa(i)
		e.wakes(d, "an aggregate", []store.Match{{Aggregate: accounts}}, name)
		e.wakes(d, "a stream", []store.Match{{Aggregate: accounts, ID: "a"}}, name+"b")
		e.wakes(d, "a name that did not exist", []store.Match{{Aggregate: accounts, Name: name + "c"}}, name+"c")
	}
}

// noWakeUpLost plays ping-pong: each side waits for what the other appends, so one lost
// wake-up stops both.
func noWakeUpLost(e *env) {
	const rounds = 150
	d := e.open()
	ctx, cancel := e.soon()
	defer cancel()
	play := func(mine, theirs event.Stream, first bool) error {
		var seen event.Position
		for range rounds {
			if first {
				if _, err := d.Commit(ctx, appends(appending(mine, store.Any, "played"))); err != nil {
					return err
				}
			}
			first = true
			for {
				res, err := d.Read(ctx, store.Scan{Match: store.MatchStreams(theirs), From: seen + 1, Limit: 1, Examine: roomy})
				if err != nil {
					return err
				}
				seen = max(seen, res.Scanned)
				if len(res.Events) > 0 {
					break
				}
				if err := d.Wait(ctx, seen, store.MatchStreams(theirs)); err != nil {
					return err
				}
			}
		}
		return nil
	}
	a, b := accounts.Stream("ping"), accounts.Stream("pong")
	err := together(2, func(i int) error {
		if i == 0 {
			return play(a, b, true)
		}
		if err := play(b, a, false); err != nil {
			return err
		}
		_, err := d.Commit(ctx, appends(appending(b, store.Any, "played")))
		return err
	})
	if err != nil {
		e.Errorf("a wake-up did not come: %v", err)
	}
}

func waitEndsWithContext(e *env) {
	d := e.open()
	e.append(d, accounts.Stream("a"), "opened")
	ctx, cancel := context.WithCancel(e.Context())
	head := e.head(d)
	done := begin(func() error { return d.Wait(ctx, head, nil) })
	e.pause()
	cancel()
	if err := e.answer(done, "Wait with a cancelled context"); !errors.Is(err, context.Canceled) {
		e.Errorf("got %v, want the context's error", err)
	}
	ctx, cancel = context.WithTimeout(e.Context(), 20*time.Millisecond)
	defer cancel()
	done = begin(func() error { return d.Wait(ctx, head, []store.Match{{Aggregate: accounts}}) })
	if err := e.answer(done, "Wait with a deadline"); !errors.Is(err, context.DeadlineExceeded) {
		e.Errorf("got %v, want the context's error", err)
	}
}
