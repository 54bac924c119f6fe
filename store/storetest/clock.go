package storetest

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func timeRules() []rule {
	return []rule{
		{"times never fall", needMonotone, timesNeverFall},
		{"times do not fall when the clock steps back", needMonotone | needClock, clockStepsBack},
		{"an import keeps its times", 0, importKeepsTimes},
		{"an import whose times fall is refused", 0, importRefused},
		{"an append after an import is not before it", needMonotone, appendAfterImport},
		{"a position is found by time", needSeeker, positionByTime},
	}
}

func timesNeverFall(e *env) {
	d := e.open()
	err := together(4, func(i int) error {
		for range 20 {
			if _, err := d.Commit(e.Context(), appends(appending(accounts.Stream(strconv.Itoa(i)), store.Any, "opened"))); err != nil {
				return err
			}
		}
		return nil
	})
	e.need(err, "appends")
	e.verify(d)
}

func clockStepsBack(e *env) {
	var now atomic.Int64
	now.Store(time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC).UnixMilli())
	d := e.factory.Clock(e.TB, func() time.Time { return time.UnixMilli(now.Load()) })
	var last time.Time
	for _, step := range []time.Duration{0, -time.Hour, time.Minute, time.Hour, -time.Millisecond, time.Hour} {
		want := time.UnixMilli(now.Add(step.Milliseconds()))
		if want.Before(last) {
			want = last
		}
		res := e.append(d, accounts.Stream("a"), "opened", "closed")
		if !res.Time.Equal(want) {
			e.Errorf("an append has the time %v, want %v", res.Time, want.UTC())
		}
		last = res.Time
	}
	e.verify(d)
}

// imported is a Txn that brings events with these times.
func imported(s event.Stream, times ...time.Time) *store.Txn {
	txn := appends(appending(s, store.Any, make([]string, len(times))...))
	for i := range times {
		txn.Appends[0].Events[i].Name, txn.Appends[0].Events[i].Time = "imported", times[i]
	}
	txn.Import = true
	return txn
}

var longAgo = time.Date(2001, 2, 3, 4, 5, 6, 7e6, time.UTC)

func importKeepsTimes(e *env) {
	d := e.open()
	times := []time.Time{longAgo, longAgo, longAgo.Add(time.Millisecond), longAgo.Add(time.Hour)}
	res := e.commit(d, imported(accounts.Stream("a"), times...))
	if !res.Time.Equal(times[3]) {
		e.Errorf("the result has the time %v, want that of the last event, %v", res.Time, times[3])
	}
	e.commit(d, imported(accounts.Stream("b"), times[3]))
	for i, ev := range e.verify(d)[:4] {
		if !ev.Time.Equal(times[i]) {
			e.Errorf("event %d has the time %v, want %v", i, ev.Time, times[i])
		}
	}
}

func importRefused(e *env) {
	d := e.open()
	e.commit(d, imported(accounts.Stream("a"), longAgo))
	for name, txn := range map[string]*store.Txn{
		"before the head":         imported(accounts.Stream("a"), longAgo.Add(-time.Millisecond)),
		"falling in the append":   imported(accounts.Stream("a"), longAgo.Add(time.Hour), longAgo.Add(time.Minute)),
		"falling between streams": {Import: true, Appends: append(imported(accounts.Stream("a"), longAgo.Add(time.Hour)).Appends, imported(accounts.Stream("b"), longAgo).Appends...)},
	} {
		if _, err := d.Commit(e.Context(), txn); !errors.Is(err, store.ErrInvalid) {
			e.Errorf("%s: got the error %v, want *InvalidError", name, err)
		}
	}
	if log := e.verify(d); len(log) != 1 {
		e.Errorf("%d events, want 1", len(log))
	}
}

func appendAfterImport(e *env) {
	d := e.open()
	ahead := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
	e.commit(d, imported(accounts.Stream("a"), ahead))
	if res := e.append(d, accounts.Stream("a"), "opened"); res.Time.Before(ahead) {
		e.Errorf("an append has the time %v, after an import with %v", res.Time, ahead)
	}
	e.verify(d)
}

func positionByTime(e *env) {
	d := e.open()
	seeker := d.(store.TimeSeeker)
	check := func(t time.Time, want event.Position) {
		e.Helper()
		got, err := seeker.PositionAt(e.Context(), t)
		e.need(err, "position at %v", t)
		if got != want {
			e.Errorf("the position at %v is %d, want %d", t, got, want)
		}
	}
	check(longAgo, 1)
	var times []time.Time
	for _, ms := range []int{0, 5, 5, 5, 6, 1000, 1000, 5000} {
		times = append(times, longAgo.Add(time.Duration(ms)*time.Millisecond))
	}
	e.commit(d, imported(accounts.Stream("a"), times...))
	log := e.verify(d)
	check(time.Time{}, log[0].Position)
	check(longAgo.Add(-time.Hour), log[0].Position)
	check(longAgo, log[0].Position)
	check(longAgo.In(time.FixedZone("far", 9*3600)), log[0].Position)
	check(longAgo.Add(time.Millisecond), log[1].Position)
	check(longAgo.Add(5*time.Millisecond), log[1].Position)
	check(longAgo.Add(6*time.Millisecond), log[4].Position)
	check(longAgo.Add(7*time.Millisecond), log[5].Position)
	check(longAgo.Add(time.Second), log[5].Position)
	check(longAgo.Add(5*time.Second), log[7].Position)
	check(longAgo.Add(time.Hour), log[7].Position+1)
}
