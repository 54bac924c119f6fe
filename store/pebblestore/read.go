package pebblestore

import (
	"context"
	"runtime"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

const (
	// yieldEvery is how many entries a reader examines before it lets others run. Go's time
	// slice is 10 ms; without this a scanning loop is what appenders wait for. While appends are
	// under way it yields more often: the committer and its callers run for microseconds, and
	// would wait for a reader between any two steps.
	yieldEvery      = 200
	yieldEveryAmong = 40

	// nearGap is up to how many events ahead the log iterator steps instead of seeking.
	nearGap = 12

	// maxMerge is up to how many ranges are merged with an iterator each. More names than that
	// are tested on the header of each event in the log, more streams are a crowd.
	maxMerge = 64

	// maxPageBytes ends a page early when its events are large.
	maxPageBytes = 8 << 20
)

// reading is one Read in progress: its bounds, fixed under one head, and the page so far.
type reading struct {
	d        *driver
	scan     store.Scan
	dict     *dictionary
	head     uint64
	lo, hi   uint64 // inclusive
	examined int

	events []event.Event
	arena  []byte // memory for the envelopes that are still to come
	bytes  int    // of the page's envelopes
	cut    bool   // stopped at Examine or at the page's bytes
	more   bool   // one more match was seen behind a full page
	last   uint64 // position examined last
}

// Read implements store.Driver. The head is loaded first, then the dictionary, then the
// iterators are opened: the other way round an event could be passed over for ever.
func (d *driver) Read(ctx context.Context, scan store.Scan) (store.ScanResult, error) {
	if err := d.enter(ctx); err != nil {
		return store.ScanResult{}, err
	}
	defer d.leave()
	r := &reading{d: d, scan: scan, events: scan.Into[:0], head: d.head.Load().position}
	r.dict = d.dict.Load()
	r.lo, r.hi = max(1, uint64(scan.From)), r.head
	if scan.To > 0 {
		r.hi = min(r.hi, uint64(scan.To))
	}
	if r.lo <= r.hi {
		if err := r.run(ctx); err != nil {
			return store.ScanResult{}, err
		}
	}
	return r.result()
}

func (r *reading) run(ctx context.Context) error {
	plan, err := r.plan()
	if err != nil {
		return err
	}
	defer plan.close()
	if plan.scan {
		return r.scanLog(ctx, plan)
	}
	if plan.probe > 0 {
		if done, err := r.probe(ctx, plan); err != nil || done {
			return err
		}
	}
	if err := r.start(ctx, plan); err != nil || r.cut {
		return err
	}
	return r.fetch(ctx, plan)
}

// examine counts an index entry and says whether the reading must end here.
func (r *reading) examine(ctx context.Context) (stop bool, err error) {
	if r.examined >= r.scan.Examine {
		r.cut = true
		return true, nil
	}
	r.examined++
	if r.examined%yieldEvery == 0 || r.examined%yieldEveryAmong == 0 && r.d.appending.Load() > 0 {
		runtime.Gosched()
		if ctx.Err() != nil {
			return true, context.Cause(ctx)
		}
	}
	return false, nil
}

// keep copies a matching envelope and decodes it, or notes that there is one more.
func (r *reading) keep(position uint64, envelope []byte) (stop bool, err error) {
	if len(r.events) == r.scan.Limit {
		r.more = true
		return true, nil
	}
	if len(r.events) > 0 && r.bytes+len(envelope) > maxPageBytes {
		r.cut = true
		return true, nil
	}
	r.bytes += len(envelope)
	if len(envelope) > cap(r.arena)-len(r.arena) {
		r.arena = make([]byte, 0, max(len(envelope), r.roomFor(position)))
	}
	start := len(r.arena)
	r.arena = append(r.arena, envelope...)
	if len(r.events) == cap(r.events) {
		r.events = slices.Grow(r.events, int(min(uint64(r.scan.Limit-len(r.events)), r.ahead(position), 512)))
	}
	r.events = r.events[:len(r.events)+1]
	return false, decodeEnvelope(r.arena[start:], position, r.dict, &r.events[len(r.events)-1])
}

// ahead is how many events there are from a position to the end of the reading.
func (r *reading) ahead(position uint64) uint64 {
	if r.scan.Backward {
		return position - r.lo + 1
	}
	return r.hi - position + 1
}

// roomFor guesses the bytes of the rest of a page from the events read before.
func (r *reading) roomFor(position uint64) int {
	n := min(uint64(r.scan.Limit-len(r.events)), r.ahead(position), 512)
	return int(min(int64(n)*(r.d.average.Load()+16), 256<<10))
}

// scanLog walks the log itself and tests the header of each event. Positions are dense up to
// the head: one that is missing is damage.
func (r *reading) scanLog(ctx context.Context, p *plan) error {
	iter, err := r.logIter()
	if err != nil {
		return err
	}
	begin, step, pos, stride := iter.First, iter.Next, r.lo, uint64(1)
	if r.scan.Backward {
		begin, step, pos, stride = iter.Last, iter.Prev, r.hi, ^uint64(0) // which is -1
	}
	for ok := begin(); r.lo <= pos && pos <= r.hi; pos, ok = pos+stride, step() {
		if !ok && iter.Error() != nil {
			break
		}
		if stop, err := r.examine(ctx); err != nil || stop {
			return closing(iter, err)
		}
		if !ok || !isLogKey(iter.Key(), pos) {
			if len(r.events) == r.scan.Limit { // for the next page to tell
				r.more = true
				break
			}
			return closing(iter, &store.CorruptError{What: "log", Key: "position " + event.Position(pos).String(), Err: errMissing})
		}
		v, err := iter.ValueAndErr()
		if err != nil {
			return closing(iter, r.d.readError("event", iter.Key(), err))
		}
		match, err := p.matches(pos, v)
		if err != nil {
			return closing(iter, err)
		}
		if match {
			if stop, err := r.keep(pos, v); err != nil {
				return closing(iter, err)
			} else if stop {
				break
			}
		}
		r.last = pos
	}
	if err := iter.Close(); err != nil {
		return r.d.readError("event", logKey(r.last), err)
	}
	return nil
}

// fetch walks the merged index ranges and fetches the events from the log with one
// iterator: stepping when the next one is near, seeking when it is far.
func (r *reading) fetch(ctx context.Context, p *plan) error {
	iter, err := r.logIter()
	if err != nil {
		return err
	}
	var at uint64 // where the log iterator stands; 0 is nowhere
	var key [9]byte
	for {
		pos, candidate, ok, err := p.next()
		if err != nil || !ok {
			return closing(iter, err)
		}
		if stop, err := r.examine(ctx); err != nil || stop {
			return closing(iter, err)
		}
		if !candidate {
			r.last = pos
			continue
		}
		if p.decided && len(r.events) == r.scan.Limit {
			r.more = true
			return iter.Close()
		}
		if !r.seek(iter, at, pos, key[:0]) {
			if err := iter.Error(); err != nil {
				return closing(iter, r.d.readError("event", logKey(pos), err))
			}
			return closing(iter, &store.CorruptError{What: "index entry", Key: "position " + event.Position(pos).String(), Err: errMissing})
		}
		at = pos
		v, err := iter.ValueAndErr()
		if err != nil {
			return closing(iter, r.d.readError("event", iter.Key(), err))
		}
		match, err := p.matches(pos, v)
		if err != nil {
			return closing(iter, err)
		}
		if match {
			if stop, err := r.keep(pos, v); err != nil || stop {
				return closing(iter, err)
			}
		}
		r.last = pos
	}
}

// seek brings the log iterator to a position.
func (r *reading) seek(iter *pebble.Iterator, at, pos uint64, key []byte) bool {
	if at != 0 && !r.scan.Backward && pos-at <= nearGap {
		for ; at < pos; at++ {
			if !iter.Next() {
				return false
			}
		}
	} else if at != 0 && r.scan.Backward && at-pos <= nearGap {
		for ; at > pos; at-- {
			if !iter.Prev() {
				return false
			}
		}
	} else if !iter.SeekGE(appendLogKey(key, pos)) {
		return false
	}
	got, ok := logKeyPosition(iter.Key())
	return ok && got == pos
}

func (r *reading) logIter() (*pebble.Iterator, error) {
	iter, err := r.d.db.NewIter(&pebble.IterOptions{LowerBound: logKey(r.lo), UpperBound: logKey(r.hi + 1)})
	if err != nil {
		return nil, r.d.readError("event", logKey(r.lo), err)
	}
	return iter, nil
}

// result says what was found and how far the reading looked.
func (r *reading) result() (store.ScanResult, error) {
	res := store.ScanResult{Events: r.events, Head: event.Position(r.head), More: r.more || r.cut}
	switch {
	case r.more:
		res.Scanned = r.events[len(r.events)-1].Position
	case r.cut && r.last > 0:
		res.Scanned = event.Position(r.last)
	case r.cut && r.scan.Backward:
		res.Scanned = event.Position(r.hi + 1)
	case r.cut:
		res.Scanned = event.Position(r.lo - 1)
	case r.scan.Backward:
		res.Scanned = max(1, r.scan.From)
	default:
		res.Scanned = event.Position(r.hi)
	}
	if n := int64(r.bytes / max(1, len(r.events))); n > 0 && n != r.d.average.Load() {
		r.d.average.Store(n)
	}
	return res, nil
}
