package storetest

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func leaseRules() []rule {
	return []rule{
		{"a claim writes the term record", needLeaser, claimWritesRecord},
		{"a lease that runs keeps others out", needLeaser, leaseHolds},
		{"a forced claim takes a lease over", needLeaser, forcedClaim},
		{"a worker may claim again what it holds", needLeaser, claimAgain},
		{"a release lets the next worker in at once", needLeaser, releaseFrees},
		{"a release wakes those who wait", needLeaser, releaseWakes},
		{"a lost lease cannot be released", needLeaser, lostRelease},
		{"a lost lease cannot be renewed", needLeaser, lostRenew},
		{"renewals are answered in order", needLeaser, renewInOrder},
		{"a lease runs out", needLeaser, leaseExpires},
		{"a renewal keeps a lease from running out", needLeaser, renewExtends},
		{"of concurrent claims one wins", needLeaser, claimRace},
		{"WaitFree returns with its context", needLeaser, waitFreeEnds},
	}
}

// long is a TTL that no rule waits for, short is one that rules do.
const (
	long  = time.Hour
	short = 60 * time.Millisecond
)

// newWorker is a worker's id.
func newWorker() event.ID { return event.NewID() }

// leaser is a driver with leases, for one key at a time.
type leaser struct {
	*env
	store.Driver
	store.Leaser
}

func (e *env) leaser() *leaser {
	e.Helper()
	return e.leases(e.open())
}

func (e *env) leases(d store.Driver) *leaser { return &leaser{e, d, d.(store.Leaser)} }

// claim gives a worker the lease, by force, and returns the term.
func (l *leaser) claim(key string, worker event.ID, ttl time.Duration) uint64 {
	l.Helper()
	t, err := l.Claim(l.Context(), store.Claim{Key: key, Value: []byte("term"), Worker: worker, TTL: ttl, Force: true})
	l.need(err, "claim %q", key)
	return t
}

// try claims without force.
func (l *leaser) try(key string, worker event.ID) (uint64, error) {
	return l.Claim(l.Context(), store.Claim{Key: key, Worker: worker, TTL: long})
}

func (l *leaser) refuses(key string, holder event.ID) {
	l.Helper()
	_, err := l.try(key, newWorker())
	held, ok := errors.AsType[*store.HeldError](err)
	if !ok || !errors.Is(err, store.ErrHeld) {
		l.Errorf("a claim of a held lease: %v, want *HeldError", err)
	} else if held.Worker != holder {
		l.Errorf("the refusal names worker %v, but %v holds the lease", held.Worker, holder)
	}
}

func (l *leaser) holds(key string, worker event.ID, t uint64) {
	l.Helper()
	h, err := l.Holder(l.Context(), key)
	l.need(err, "holder of %q", key)
	if h.Worker != worker || h.Term != t {
		l.Errorf("the holder of %q is %v in term %d, want %v in term %d", key, h.Worker, h.Term, worker, t)
	}
}

func (l *leaser) free(key string) {
	l.Helper()
	l.holds(key, event.ID{}, 0)
	ctx, cancel := l.soon()
	defer cancel()
	if err := l.WaitFree(ctx, key); err != nil {
		l.Errorf("WaitFree for a lease that nobody holds: %v", err)
	}
}

func (l *leaser) lost(err error, doing string) {
	l.Helper()
	if !errors.Is(err, store.ErrLeaseLost) {
		l.Errorf("%s: %v, want ErrLeaseLost", doing, err)
	}
}

func claimWritesRecord(e *env) {
	l := e.leaser()
	l.free("s\x00a")
	for _, value := range []string{"first", "", "third"} {
		worker := newWorker()
		t, err := l.Claim(e.Context(), store.Claim{Key: "s\x00a", Value: []byte(value), Worker: worker, TTL: long, Force: true})
		e.need(err, "claim")
		if r := e.get(l, "s\x00a"); r.Revision != t || string(r.Value) != value || t == 0 {
			e.Errorf("the term record is %q at revision %d after a claim with %q that gave term %d", r.Value, r.Revision, value, t)
		}
		l.holds("s\x00a", worker, t)
	}
	e.listed(l, []store.Record{e.get(l, "s\x00a")})
}

func leaseHolds(e *env) {
	l := e.leaser()
	a, b := newWorker(), newWorker()
	before := time.Now()
	t := l.claim("sa", a, long)
	l.refuses("sa", a)
	if r := e.get(l, "sa"); r.Revision != t {
		e.Errorf("a refused claim moved the term from %d to %d", t, r.Revision)
	}
	l.holds("sa", a, t)
	h, err := l.Holder(e.Context(), "sa")
	e.need(err, "holder")
	if left := h.Until.Sub(before); left < long-time.Minute || left > long+10*time.Minute {
		e.Errorf("a lease of %v runs out in %v", long, left)
	}
	// Another key is another lease.
	tb, err := l.try("sb", b)
	e.need(err, "claim of another key")
	l.holds("sb", b, tb)
	l.holds("sa", a, t)
}

func forcedClaim(e *env) {
	l := e.leaser()
	a, b := newWorker(), newWorker()
	first := l.claim("sa", a, long)
	second := l.claim("sa", b, long)
	if second <= first {
		e.Errorf("term %d follows term %d", second, first)
	}
	l.holds("sa", b, second)
	l.refuses("sa", b)
}

func claimAgain(e *env) {
	l := e.leaser()
	a := newWorker()
	first := l.claim("sa", a, long)
	second, err := l.try("sa", a)
	e.need(err, "claim of a worker that holds the lease")
	if second <= first {
		e.Errorf("term %d follows term %d", second, first)
	}
	l.holds("sa", a, second)
	l.lost(l.Release(e.Context(), store.LeaseRef{Key: "sa", Term: first}), "release of the earlier term")
}

func releaseFrees(e *env) {
	l := e.leaser()
	first := l.claim("sa", newWorker(), long)
	e.need(l.Release(e.Context(), store.LeaseRef{Key: "sa", Term: first}), "release")
	l.free("sa")
	if r := e.get(l, "sa"); r.Revision < first {
		e.Errorf("a release moved the term from %d to %d", first, r.Revision)
	}
	second, err := l.try("sa", newWorker())
	e.need(err, "claim after a release")
	if second <= first {
		e.Errorf("term %d follows term %d", second, first)
	}
	l.lost(l.Release(e.Context(), store.LeaseRef{Key: "sa", Term: first}), "second release")
	l.lost(l.Release(e.Context(), store.LeaseRef{Key: "snone", Term: 1}), "release of what was never claimed")
}

func releaseWakes(e *env) {
	l := e.leaser()
	for i := range 6 {
		key := "s" + strconv.Itoa(i%2)
		t := l.claim(key, newWorker(), long)
		ctx, cancel := e.soon()
		waiting := begin(func() error { return together(3, func(int) error { return l.WaitFree(ctx, key) }) })
		e.pause()
		e.need(l.Release(e.Context(), store.LeaseRef{Key: key, Term: t}), "release")
		if err := e.answer(waiting, "WaitFree"); err != nil {
			e.Errorf("a release did not wake: %v", err)
		}
		cancel()
	}
}

func lostRelease(e *env) {
	l := e.leaser()
	a, b := newWorker(), newWorker()
	old := l.claim("sa", a, long)
	t := l.claim("sa", b, long)
	l.lost(l.Release(e.Context(), store.LeaseRef{Key: "sa", Term: old}), "release of a stolen lease")
	l.holds("sa", b, t)
	l.refuses("sa", b)
	if r := e.get(l, "sa"); r.Revision != t {
		e.Errorf("releasing a stolen lease moved the term from %d to %d", t, r.Revision)
	}
}

func lostRenew(e *env) {
	l := e.leaser()
	a, b := newWorker(), newWorker()
	old := l.claim("sa", a, long)
	t := l.claim("sa", b, long)
	ref := store.LeaseRef{Key: "sa", Term: old, TTL: long}
	l.lost(l.Renew(e.Context(), []store.LeaseRef{ref})[0], "renewal of a stolen lease")
	l.holds("sa", b, t)
	e.need(l.Release(e.Context(), store.LeaseRef{Key: "sa", Term: t}), "release")
	l.lost(l.Renew(e.Context(), []store.LeaseRef{ref})[0], "renewal after another's release")
	l.lost(l.Renew(e.Context(), []store.LeaseRef{{Key: "sa", Term: t, TTL: long}})[0], "renewal of a released lease")
	l.free("sa")
}

func renewInOrder(e *env) {
	l := e.leaser()
	var refs []store.LeaseRef
	for i := range 6 {
		key := "s" + strconv.Itoa(i)
		refs = append(refs, store.LeaseRef{Key: key, Term: l.claim(key, newWorker(), long), TTL: long})
		if i%3 == 1 {
			l.claim(key, newWorker(), long)
		}
	}
	refs = append(refs, store.LeaseRef{Key: "snone", Term: 1, TTL: long})
	errs := l.Renew(e.Context(), refs)
	if len(errs) != len(refs) {
		e.Fatalf("%d answers to %d renewals", len(errs), len(refs))
	}
	for i, err := range errs {
		if stolen := i%3 == 1 || i == 6; stolen != errors.Is(err, store.ErrLeaseLost) || !stolen && err != nil {
			e.Errorf("renewal %d: %v, and whether the lease is lost is %t", i, err, stolen)
		}
	}
	if errs := l.Renew(e.Context(), nil); len(errs) != 0 {
		e.Errorf("%d answers to no renewals", len(errs))
	}
}

func leaseExpires(e *env) {
	l := e.leaser()
	begun := time.Now()
	first := l.claim("sa", newWorker(), short)
	ctx, cancel := e.soon()
	defer cancel()
	if err := l.WaitFree(ctx, "sa"); err != nil {
		e.Fatalf("a lease of %v did not run out: %v", short, err)
	}
	if passed := time.Since(begun); passed < short-20*time.Millisecond {
		e.Errorf("a lease of %v was free after %v", short, passed)
	}
	l.holds("sa", event.ID{}, 0)
	b := newWorker()
	second, err := l.try("sa", b)
	e.need(err, "claim of a lease that ran out")
	if second <= first {
		e.Errorf("term %d follows term %d", second, first)
	}
	l.lost(l.Renew(e.Context(), []store.LeaseRef{{Key: "sa", Term: first, TTL: long}})[0], "renewal of a lease that ran out and went to another")
	l.holds("sa", b, second)
}

// renewExtends tries several times, for a busy machine may let the first lease run out
// before it can be renewed.
func renewExtends(e *env) {
	l := e.leaser()
	for ttl := short; ttl < e.patience; ttl *= 2 {
		t := l.claim("sa", newWorker(), ttl)
		err := l.Renew(e.Context(), []store.LeaseRef{{Key: "sa", Term: t, TTL: long}})[0]
		if errors.Is(err, store.ErrLeaseLost) {
			continue
		}
		e.need(err, "renewal")
		ctx, cancel := context.WithTimeout(e.Context(), 2*ttl)
		defer cancel()
		if err := l.WaitFree(ctx, "sa"); !errors.Is(err, context.DeadlineExceeded) {
			e.Errorf("a renewed lease became free: WaitFree says %v", err)
		}
		return
	}
	e.Error("a lease was lost as soon as it was claimed")
}

func claimRace(e *env) {
	const rounds, rivals = 20, 6
	l := e.leaser()
	for round := range rounds {
		key := "s" + strconv.Itoa(round)
		workers := make([]event.ID, rivals)
		for i := range workers {
			workers[i] = newWorker()
		}
		var won atomic.Int32
		err := together(rivals, func(i int) error {
			if _, err := l.try(key, workers[i]); !errors.Is(err, store.ErrHeld) {
				won.Add(1)
				return err
			}
			return nil
		})
		e.need(err, "concurrent claims")
		h, err := l.Holder(e.Context(), key)
		e.need(err, "holder")
		if won.Load() != 1 || !slices.Contains(workers, h.Worker) {
			e.Fatalf("%d of %d concurrent claims won, want 1; the holder is %v", won.Load(), rivals, h.Worker)
		}
	}
}

func waitFreeEnds(e *env) {
	l := e.leaser()
	l.claim("sa", newWorker(), long)
	ctx, cancel := context.WithCancel(e.Context())
	waiting := begin(func() error { return l.WaitFree(ctx, "sa") })
	e.pause()
	cancel()
	if err := e.answer(waiting, "WaitFree with a cancelled context"); !errors.Is(err, context.Canceled) {
		e.Errorf("got %v, want the context's error", err)
	}
}
