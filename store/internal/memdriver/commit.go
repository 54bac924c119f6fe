package memdriver

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Commit applies a Txn under the lock: planned whole, then written whole.
func (d *Driver) Commit(ctx context.Context, txn *store.Txn) (store.Result, error) {
	if err := d.enter(ctx); err != nil {
		return store.Result{}, err
	}
	defer d.leave()
	if f := d.opts.Faults.BeforeCommit; f != nil {
		if err := f(txn); err != nil {
			return store.Result{}, err
		}
	}
	res, err := d.commit(txn)
	if err != nil {
		return store.Result{}, err
	}
	if f := d.opts.Faults.AfterCommit; f != nil {
		if err := f(txn, res); err != nil {
			return store.Result{}, err
		}
	}
	return res, d.cancelled(ctx)
}

func (d *Driver) commit(txn *store.Txn) (store.Result, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil {
		return store.Result{}, d.failure
	}
	c, res, err := d.plan(txn)
	if err != nil {
		return store.Result{}, err
	}
	d.write(c)
	for _, key := range txn.Fence {
		d.endLease(key)
	}
	return res, nil
}

// plan says what a Txn would do, without doing any of it.
func (s *state) plan(txn *store.Txn, now time.Time) (change, store.Result, error) {
	if err := s.checkGuards(txn.Guards); err != nil {
		return change{}, store.Result{}, err
	}
	if err := s.checkOnce(txn.Appends); err != nil {
		return change{}, store.Result{}, err
	}
	c := change{
		deletes: slices.Clone(txn.Deletes),
		synced:  !txn.NoSync || len(txn.Appends) > 0,
		term:    s.term,
	}
	res, err := s.planAppends(&c, txn, now)
	if err != nil {
		return change{}, store.Result{}, err
	}
	for _, r := range txn.Puts {
		r.Value = s.keep(r.Value)
		c.puts = append(c.puts, r)
	}
	for _, key := range txn.Fence {
		c.term = s.nextTerm(c.term, key)
		c.puts = append(c.puts, store.Record{Key: key, Value: s.records[key].Value, Revision: c.term})
	}
	return c, res, nil
}

func (s *state) checkGuards(guards []store.Guard) error {
	for _, g := range guards {
		if actual := s.records[g.Key].Revision; actual != g.Revision {
			return &store.GuardError{Key: g.Key, Expected: g.Revision, Actual: actual}
		}
	}
	return nil
}

// checkOnce comes before the expectations: an append that was done already does not meet
// them any more, and the caller has to learn why.
func (s *state) checkOnce(appends []store.Appending) error {
	var positions []event.Position
	kept := false
	for _, a := range appends {
		if !a.Once {
			continue
		}
		for i := range a.Events {
			p := s.once[a.Events[i].ID]
			positions = append(positions, p)
			kept = kept || p != 0
		}
	}
	if kept {
		return &store.DuplicateError{Positions: positions}
	}
	return nil
}

func (s *state) planAppends(c *change, txn *store.Txn, now time.Time) (store.Result, error) {
	var res store.Result
	last := s.last()
	now = now.UTC().Truncate(time.Millisecond)
	if now.Before(last.Time) && !s.naive.breaks(WallClock) {
		now = last.Time
	}
	position, clock := last.Position, last.Time
	staged := map[event.Stream]store.StreamInfo{}
	for i, a := range txn.Appends {
		key := s.key(a.Stream)
		info, ok := staged[key]
		if !ok {
			info = s.streams[key]
		}
		if !a.Expect.Holds(info.Version) {
			return res, &store.ConflictError{Stream: a.Stream, Expect: a.Expect, Actual: info.Version, Batch: i}
		}
		switch {
		case info.Version == 0, s.naive.breaks(RoutingKeyFollows) && a.RoutingKey != "":
			info.RoutingKey = a.RoutingKey
		case a.RoutingKey != "" && a.RoutingKey != info.RoutingKey:
			return res, &store.InvalidError{Field: "RoutingKey", Reason: fmt.Sprintf(
				"of stream %s is %q for good; append without one, or with this one", a.Stream, info.RoutingKey)}
		}
		for j := range a.Events {
			at := now
			if txn.Import {
				at = a.Events[j].Time.UTC().Truncate(time.Millisecond)
				if at.Before(clock) && !s.naive.breaks(ImportTimesFall) {
					return res, &store.InvalidError{Field: "Time", Reason: "falls behind that of the event before it; import in the order of time"}
				}
				clock = at
			}
			position++
			info.Version++
			e, err := s.encode(&a.Events[j])
			if err != nil {
				return res, err
			}
			e.Stream, e.RoutingKey, e.Time, e.once = a.Stream, info.RoutingKey, at, a.Once
			e.Position, e.Version = position, info.Version
			c.events = append(c.events, e)
		}
		staged[key] = info
		if i == 0 {
			res.Version = info.Version
		}
	}
	if n := len(c.events); n > 0 {
		res.First, res.Position, res.Time = c.events[0].Position, c.events[n-1].Position, c.events[n-1].Time
	}
	return res, nil
}

// encode takes from an event what the caller decides, as a copy.
func (s *state) encode(ev *event.Event) (stored, error) {
	metadata, err := ev.Metadata.AppendBinary(nil)
	if err != nil {
		return stored{}, err
	}
	return stored{
		Event: event.Event{
			ID: ev.ID, Name: ev.Name, SchemaVersion: ev.SchemaVersion,
			ContentType: ev.ContentType, Data: s.keep(ev.Data),
		},
		metadata: metadata,
	}, nil
}

func (s *state) keep(b []byte) []byte {
	if s.naive.breaks(KeepsCallersBytes) {
		return b
	}
	return bytes.Clone(b)
}

// write makes a change durable, then visible, then known: under one lock all at once.
func (d *Driver) write(c change) {
	c.at = time.Now()
	d.log = append(d.log, c)
	n := len(d.log)
	if c.synced && !d.breaks(VisibleBeforeDurable) {
		d.durable = n
	}
	d.beforePublish(c)
	d.state.apply(c)
	if len(c.events) > 0 && !d.breaks(WakesTooEarly) {
		d.wake()
	}
	d.afterPublish(c, n)
}

func (d *Driver) wake() {
	close(d.published)
	d.published = make(chan struct{})
}
