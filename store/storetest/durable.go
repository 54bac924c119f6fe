package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func durableRules() []rule {
	return []rule{
		{"an acknowledged append survives a crash", needDurable | needCrash, acknowledgedSurvives},
		{"what a reader saw survives a crash", needDurable | needCrash, seenSurvives},
		{"a synced commit survives a crash", needDurable | needCrash, syncedSurvives},
		{"a NoSync commit is durable with the next synced one", needDurable | needCrash, noSyncRides},
		{"a NoSync commit is durable by itself a little later", needDurable | needCrash, noSyncSettles},
		{"Sync makes a NoSync commit durable", needDurable | needCrash | needSyncer, syncSyncs},
		{"a NoSync commit is readable at once", 0, noSyncReadable},
		{"a NoSync commit with events is durable when it returns", needDurable | needCrash | needEmits, noSyncWithEvents},
		{"a crash leaves whole commits", needDurable | needCrash | needEmits, crashLeavesWhole},
		{"everything survives a reopen", needReopen, reopenKeepsAll},
	}
}

// crash loses what is not durable, at this moment.
func (e *env) crash(d store.Driver) store.Driver {
	e.Helper()
	return e.factory.Crash(e.TB, d)
}

// load is appenders at work while a crash comes.
type load struct {
	env    *env
	cancel context.CancelFunc
	done   <-chan error

	mu           sync.Mutex
	stopped      bool
	acknowledged map[event.Position]event.ID
}

// loadEach bounds what a fast driver appends before the crash, since all of it is read
// again after it.
const loadEach = 250

// load returns when each of four appenders has appended something.
func (e *env) load(d store.Driver) *load {
	ctx, cancel := context.WithCancel(e.Context())
	l := &load{env: e, cancel: cancel, acknowledged: map[event.Position]event.ID{}}
	started := make(chan struct{})
	l.done = begin(func() error {
		return together(4, func(i int) error {
			begun := sync.OnceFunc(func() { started <- struct{}{} })
			defer begun()
			for n := 0; n < loadEach && ctx.Err() == nil; n++ {
				a := appending(accounts.Stream(strconv.Itoa(i)), store.Any, "opened", "renamed")
				res, err := d.Commit(ctx, appends(a))
				if err != nil {
					return l.unlessStopped(err)
				}
				l.acknowledge(a.Events, res)
				begun()
			}
			return nil
		})
	})
	for range 4 {
		<-started
	}
	return l
}

func (l *load) unlessStopped(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return nil
	}
	return err
}

func (l *load) acknowledge(events []event.Event, res store.Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.acknowledged[res.First], l.acknowledged[res.Position] = events[0].ID, events[1].ID
	}
}

// stop comes before a crash: it returns what was acknowledged so far. The appenders go on,
// but what they learn does not count any more.
func (l *load) stop() map[event.Position]event.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	return maps.Clone(l.acknowledged)
}

// end comes after the crash.
func (l *load) end() {
	l.env.Helper()
	l.cancel()
	if err := l.env.answer(l.done, "appenders"); err != nil {
		l.env.Errorf("appenders: %v", err)
	}
}

func acknowledgedSurvives(e *env) {
	for range 5 {
		d := e.open()
		appenders := e.load(d)
		acknowledged := appenders.stop()
		after := e.crash(d)
		appenders.end()
		e.contains(e.verify(after), acknowledged)
	}
}

func (e *env) contains(log []event.Event, want map[event.Position]event.ID) {
	e.Helper()
	have := map[event.Position]event.ID{}
	for _, ev := range log {
		have[ev.Position] = ev.ID
	}
	for p, id := range want {
		if have[p] != id {
			e.Errorf("event %s at position %d is gone; that position has %s now", id, p, have[p])
		}
	}
}

// seenSurvives crashes right after it saw something, in each of the ways to see it.
func seenSurvives(e *env) {
	looks := map[string]func(d store.Driver, from event.Position) (map[event.Position]event.ID, event.Position, error){
		"Head": func(d store.Driver, _ event.Position) (map[event.Position]event.ID, event.Position, error) {
			h, err := d.Head(e.Context())
			return nil, h.Position, err
		},
		"Read": func(d store.Driver, from event.Position) (map[event.Position]event.ID, event.Position, error) {
			events, err := readAll(e.Context(), d, store.Scan{From: from})
			seen := map[event.Position]event.ID{}
			for _, ev := range events {
				seen[ev.Position], from = ev.ID, ev.Position
			}
			return seen, from, err
		},
		"Stream": func(d store.Driver, _ event.Position) (map[event.Position]event.ID, event.Position, error) {
			info, err := d.Stream(e.Context(), accounts.Stream("0"))
			return nil, info.Last, err
		},
	}
	for name, look := range looks {
		for range 4 {
			d := e.open()
			appenders := e.load(d)
			seen, last, err := map[event.Position]event.ID(nil), event.Position(0), error(nil)
			for range 3 { // the wake-up comes when something new is to be seen
				from := e.head(d)
				e.need(linger(e.Context(), d, from, nil), "wait")
				seen, last, err = look(d, from)
				e.need(err, "%s", name)
			}
			acknowledged := appenders.stop()
			after := e.crash(d)
			appenders.end()
			if head := e.head(after); head < last {
				e.Errorf("%s showed position %d, and after a crash the head is %d", name, last, head)
			}
			log := e.verify(after)
			e.contains(log, seen)
			e.contains(log, acknowledged)
		}
	}
}

func syncedSurvives(e *env) {
	d := e.open()
	want := []store.Record{{Key: "na", Value: []byte("x"), Revision: 3}, {Key: "nb", Revision: 1}}
	e.put(d, want...)
	e.put(d, store.Record{Key: "nc", Revision: 1})
	e.commit(d, &store.Txn{Deletes: []string{"nc"}})
	e.listed(e.crash(d), want)
}

func noSyncRides(e *env) {
	d := e.open()
	e.commit(d, &store.Txn{Puts: []store.Record{{Key: "na", Revision: 1}}, NoSync: true})
	e.append(d, accounts.Stream("a"), "opened")
	e.listed(e.crash(d), []store.Record{{Key: "na", Revision: 1}})
}

// noSyncSettles gives the driver several times what it may take, and, since a busy machine can
// be slower than that, once more a lot of it. There is nothing to wait for but time.
func noSyncSettles(e *env) {
	want := []store.Record{{Key: "na", Revision: 1}}
	for _, patience := range []time.Duration{300 * time.Millisecond, 5 * time.Second} {
		d := e.open()
		e.commit(d, &store.Txn{Puts: want, NoSync: true})
		timer := time.NewTimer(patience)
		<-timer.C
		after := e.crash(d)
		if patience < time.Second && len(e.list(after, len(want))) == 0 {
			continue
		}
		e.listed(after, want)
		return
	}
}

func syncSyncs(e *env) {
	d := e.open()
	e.commit(d, &store.Txn{Puts: []store.Record{{Key: "na", Revision: 1}}, NoSync: true})
	e.need(d.(store.Syncer).Sync(e.Context()), "sync")
	e.listed(e.crash(d), []store.Record{{Key: "na", Revision: 1}})
}

func noSyncReadable(e *env) {
	d := e.open()
	for i := range uint64(50) {
		txn := &store.Txn{Puts: []store.Record{{Key: "na", Revision: i + 1}}, NoSync: true}
		if i > 0 {
			txn.Guards = []store.Guard{{Key: "na", Revision: i}}
		}
		e.commit(d, txn)
		if r := e.get(d, "na"); r.Revision != i+1 {
			e.Fatalf("revision %d right after a commit of revision %d", r.Revision, i+1)
		}
	}
}

func noSyncWithEvents(e *env) {
	d := e.open()
	txn := appends(appending(accounts.Stream("a"), store.NoStream, "opened"))
	txn.Puts = []store.Record{{Key: "na", Revision: 1}}
	txn.NoSync = true
	e.commit(d, txn)
	d = e.crash(d)
	if log := e.verify(d); len(log) != 1 {
		e.Errorf("%d events after a crash, want 1", len(log))
	}
	e.listed(d, txn.Puts)
}

// crashLeavesWhole counts in a record what it appends to a stream, in one commit.
func crashLeavesWhole(e *env) {
	for range 4 {
		d := e.open()
		ctx, cancel := context.WithCancel(e.Context())
		under := make(chan struct{})
		done := begin(func() error {
			begun := sync.OnceFunc(func() { close(under) })
			defer begun()
			for n := uint64(1); n < loadEach && ctx.Err() == nil; n++ {
				txn := appends(appending(accounts.Stream("a"), store.Exact(2*(n-1)), "opened", "closed"))
				txn.Puts = []store.Record{{Key: "ncount", Value: bytes.Repeat([]byte("x"), 100), Revision: n}}
				if _, err := d.Commit(ctx, txn); err != nil {
					return err
				}
				if n == 3 {
					begun()
				}
			}
			return nil
		})
		<-under
		after := e.crash(d)
		cancel()
		_ = e.answer(done, "appender") // what became of the old driver does not matter
		log := e.verify(after)
		if r := e.get(after, "ncount"); r.Revision < 3 || len(log) != int(2*r.Revision) {
			e.Errorf("after a crash the record counts %d commits, and the log has %d events", r.Revision, len(log))
		}
	}
}

func reopenKeepsAll(e *env) {
	d := e.open()
	log := e.fill(d, 30)
	records := []store.Record{{Key: "na", Value: []byte("x"), Revision: 3}, {Key: "nb", Revision: 1}, {Key: "nc", Revision: 1}}
	e.put(d, records...)
	e.commit(d, &store.Txn{Deletes: []string{"nb"}, NoSync: true})
	before, err := d.Head(e.Context())
	e.need(err, "head")
	d = e.reopen(d)
	after, err := d.Head(e.Context())
	e.need(err, "head")
	if before.Position != after.Position || before.History != after.History || !before.Time.Equal(after.Time) {
		e.Errorf("the head is %+v after a reopen, and was %+v", after, before)
	}
	if got := e.verify(d); !sameIDs(got, log) {
		e.Errorf("%d events after a reopen, and %d before, or other ones", len(got), len(log))
	}
	e.listed(d, []store.Record{records[0], records[2]})
	if _, err := d.Get(e.Context(), "nb"); !errors.Is(err, store.ErrNotFound) {
		e.Errorf("a deleted record after a reopen: %v, want ErrNotFound", err)
	}
}

// spaces are the first bytes of all keys that a Store makes, in byte order.
var spaces = [...]string{"f", "j", "n", "p", "s"}

// listed compares all records with those that should be there, in any order.
func (e *env) listed(d store.Driver, want []store.Record) {
	e.Helper()
	e.same("records", printed(e.list(d, len(want))), printed(want))
}

// list returns the records of all spaces, a few more than expected of each if there are more.
func (e *env) list(d store.Driver, expected int) []store.Record {
	e.Helper()
	var all []store.Record
	for _, space := range spaces {
		records, err := d.List(e.Context(), space, "", expected+10)
		e.need(err, "list %q", space)
		all = append(all, records...)
	}
	return all
}

func printed(records []store.Record) []string {
	records = slices.SortedFunc(slices.Values(records), func(a, b store.Record) int { return strings.Compare(a.Key, b.Key) })
	out := make([]string, len(records))
	for i, r := range records {
		out[i] = fmt.Sprintf("%q=%q@%d", r.Key, r.Value, r.Revision)
	}
	return out
}
