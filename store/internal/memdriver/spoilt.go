package memdriver

import (
	"context"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// spoilt is what only broken drivers need.
type spoilt struct {
	reserved event.Position     // PositionBeforeCommit: given out so far
	wasted   event.Position     // RefusedTakesPosition: positions of refused appends
	late     map[event.Type]int // DictionaryLate: types that readers do not know yet
	claimed  map[string]bool    // CommitsWithout…: which keys are those of term records
}

func (d *Driver) replaySpoilt() {
	d.reserved = d.state.last().Position
	d.late = map[event.Type]int{}
	d.claimed = map[string]bool{}
	if d.breaks(OnceForgotten) {
		clear(d.state.once)
	}
	if d.breaks(TermFromRecords) {
		d.state.term = 0
		for _, r := range d.state.records {
			d.state.term = max(d.state.term, r.Revision)
		}
	}
}

// window lets go of the lock in the middle of a call, for long enough that another call
// can come in between, if there is one.
func (d *Driver) window() {
	entered := d.entered.Load()
	d.mu.Unlock()
	for i := 0; i < 2000 && d.entered.Load() == entered; i++ {
		runtime.Gosched()
	}
	for range 50 {
		runtime.Gosched()
	}
	d.mu.Lock()
}

// key is how the state finds a stream.
func (s *state) key(stream event.Stream) event.Stream {
	if s.naive.breaks(NulEndsID) {
		stream.ID, _, _ = strings.Cut(stream.ID, "\x00")
	}
	if s.naive.breaks(JoinedKeys) {
		if a, rest, ok := strings.Cut(string(stream.Aggregate), "/"); ok {
			return event.Aggregate(a).Stream(rest + "/" + stream.ID)
		}
	}
	return stream
}

// nextTerm follows the highest term of the store, whatever the key.
func (s *state) nextTerm(highest uint64, key string) uint64 {
	if s.naive.breaks(TermRestarts) {
		return s.records[key].Revision + 1
	}
	return highest + 1
}

// cancelled is Commit's answer after it has written.
func (d *Driver) cancelled(ctx context.Context) error {
	if d.breaks(CancelledIsWritten) {
		return ctx.Err()
	}
	return nil
}

// beforePublish and afterPublish stand around the moment at which a change is seen.
func (d *Driver) beforePublish(c change) {
	if len(c.events) == 0 {
		return
	}
	if d.breaks(WakesTooEarly) {
		d.wake()
		d.window()
	}
	if d.breaks(DictionaryLate) {
		for _, e := range c.events {
			if _, known := d.state.types[e.StoredType()]; !known {
				d.late[e.StoredType()]++
			}
		}
	}
}

func (d *Driver) afterPublish(c change, n int) {
	if d.breaks(VisibleBeforeDurable) && c.synced {
		d.window()
		d.durable = max(d.durable, n)
	}
	if len(d.late) > 0 {
		d.window()
		for _, e := range c.events {
			delete(d.late, e.StoredType())
		}
	}
}

func (d *Driver) hidden() map[event.Type]int { return maps.Clone(d.late) }

// survivors are the entries of the log that a crash leaves.
func (d *Driver) survivors() []change {
	n := d.settle()
	if d.breaks(NoSyncStaysVolatile) {
		return slices.DeleteFunc(slices.Clone(d.log[:n]), func(c change) bool { return !c.synced })
	}
	return d.log[:n:n]
}

// spoilScan changes what a read asks for.
func (d *Driver) spoilScan(scan store.Scan) store.Scan {
	if d.breaks(ExamineIgnored) {
		scan.Examine = math.MaxInt
	}
	if d.breaks(EmptyRoutingKeyIsAll) && scan.RoutingKey != nil && *scan.RoutingKey == "" {
		scan.RoutingKey = nil
	}
	if d.breaks(ToIsExclusive) && scan.To > 1 {
		scan.To--
	}
	return scan
}

// spoilPage changes what a read answers.
func (d *Driver) spoilPage(scan store.Scan, res store.ScanResult, events []stored) store.ScanResult {
	full := len(res.Events) == scan.Limit
	if d.breaks(BackwardOffByOne) && scan.Backward && res.More {
		res.Scanned--
	}
	if res.More && (d.breaks(ScannedBeyondLimit) && full || d.breaks(ScannedBeyondExamine) && !full) {
		res.Scanned = res.Head
		if scan.To != 0 {
			res.Scanned = min(scan.To, res.Head)
		}
		if scan.Backward {
			res.Scanned = max(scan.From, 1)
		}
	}
	if d.breaks(MoreAtLimit) {
		res.More = full
	}
	if d.breaks(RepeatsMatches) {
		res.Events = repeated(scan, res.Events)
	}
	if d.breaks(SharesItsBytes) {
		for i := range res.Events {
			res.Events[i].Data = events[after(events, res.Events[i].Position)-1].Data
		}
	}
	return res
}

func repeated(scan store.Scan, events []event.Event) []event.Event {
	var out []event.Event
	for _, ev := range events {
		out = append(out, ev)
		for i := range scan.Match {
			if i > 0 && matches(scan.Match[i:i+1], &ev) && matches(scan.Match[:i], &ev) {
				out = append(out, ev)
			}
		}
	}
	return out[:min(len(out), scan.Limit)]
}

// resolve is the identity: an aggregate stands for whatever names it will have.
func (d *Driver) resolve(match []store.Match) []store.Match {
	if !d.breaks(NamesWhenWaiting) {
		return match
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []store.Match
	for _, m := range match {
		if m.Name != "" {
			out = append(out, m)
			continue
		}
		out = append(out, store.Match{Aggregate: m.Aggregate, ID: m.ID, Name: "\x00"}) // never empty
		for t := range d.state.types {
			if t.Aggregate == m.Aggregate {
				out = append(out, store.Match{Aggregate: m.Aggregate, ID: m.ID, Name: t.Name})
			}
		}
	}
	return out
}

func (d *Driver) closing() <-chan struct{} {
	if d.breaks(CloseStrandsWaiters) {
		return nil
	}
	return d.done
}

// sorted expects keys in byte order, and leaves them so.
func (d *Driver) sorted(keys []string) []string {
	if d.breaks(ListsUnsorted) {
		slices.SortStableFunc(keys, func(a, b string) int { return len(a) - len(b) })
	}
	return keys
}

func (d *Driver) behind(key, after string) bool {
	return key > after || key == after && d.breaks(AfterIsInclusive)
}
