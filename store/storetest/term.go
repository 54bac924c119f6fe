package storetest

import (
	"strconv"

	"github.com/riffle-go/riffle/store"
)

func termRules() []rule {
	return []rule{
		{"terms rise across keys, claims and releases", needLeaser, termsRise},
		{"terms rise when the term record is deleted", needLeaser, termsRiseAcrossDelete},
		{"terms rise across a reopen", needLeaser | needReopen, termsRiseAcrossReopen},
		{"terms rise across a crash", needLeaser | needCrash | needDurable, termsRiseAcrossCrash},
		{"concurrent claims of different keys get different terms", needLeaser, termsDiffer},
		{"a fence raises the term and keeps the value", needLeaser, fenceRaises},
		{"a fence ends the lease and wakes those who wait", needLeaser, fenceEnds},
		{"a fence creates a term record", needLeaser, fenceCreates},
	}
}

// rising checks that every new term is higher than all before.
type rising struct {
	*env
	highest uint64
}

func (r *rising) next(t uint64, after string) {
	r.Helper()
	if t <= r.highest {
		r.Errorf("after %s comes term %d, but there was a term %d", after, t, r.highest)
	}
	r.highest = max(r.highest, t)
}

func (r *rising) fence(d store.Driver, key, after string) {
	r.Helper()
	r.commit(d, &store.Txn{Fence: []string{key}})
	r.next(r.get(d, key).Revision, after)
}

func termsRise(e *env) {
	l, r := e.leaser(), &rising{env: e}
	for i := range 9 {
		key := "s" + strconv.Itoa(i%3)
		r.next(l.claim(key, newWorker(), long), "a claim")
		if i%2 == 0 {
			e.need(l.Release(e.Context(), store.LeaseRef{Key: key, Term: r.highest}), "release")
		}
		r.fence(l, "sf"+key, "a fence")
	}
}

func termsRiseAcrossDelete(e *env) {
	l, r := e.leaser(), &rising{env: e}
	for range 3 {
		r.next(l.claim("sa", newWorker(), long), "the record was deleted")
		r.fence(l, "sa", "a fence")
		e.commit(l, &store.Txn{Deletes: []string{"sa"}})
		r.fence(l, "sa", "the record was deleted")
		e.commit(l, &store.Txn{Deletes: []string{"sa"}})
	}
}

func termsRiseAcrossReopen(e *env) {
	l, r := e.leaser(), &rising{env: e}
	r.next(l.claim("sa", newWorker(), long), "a claim")
	r.next(l.claim("sb", newWorker(), long), "a claim")
	e.commit(l, &store.Txn{Deletes: []string{"sb"}})
	l = e.leases(e.reopen(l.Driver))
	r.next(l.claim("sa", newWorker(), long), "a reopen")
	r.fence(l, "sb", "a fence")
	e.commit(l, &store.Txn{Deletes: []string{"sb"}})
	l = e.leases(e.reopen(l.Driver))
	r.fence(l, "sa", "a reopen")
}

func termsRiseAcrossCrash(e *env) {
	l, r := e.leaser(), &rising{env: e}
	for range 3 {
		r.next(l.claim("sa", newWorker(), long), "a crash")
		l = e.leases(e.crash(l.Driver))
		if got := e.get(l, "sa"); got.Revision != r.highest {
			e.Errorf("after a crash the term record is at %d, but a claim gave %d", got.Revision, r.highest)
		}
	}
}

func termsDiffer(e *env) {
	const workers, each = 6, 15
	l := e.leaser()
	terms := make([][]uint64, workers)
	err := together(workers, func(i int) error {
		for range each {
			t, err := l.Claim(e.Context(), store.Claim{Key: "s" + strconv.Itoa(i), Worker: newWorker(), TTL: long, Force: true})
			if err != nil {
				return err
			}
			terms[i] = append(terms[i], t)
		}
		return nil
	})
	e.need(err, "claims")
	seen := map[uint64]bool{}
	for _, of := range terms {
		for i, t := range of {
			if seen[t] {
				e.Errorf("term %d was given twice", t)
			}
			if seen[t] = true; i > 0 && t <= of[i-1] {
				e.Errorf("term %d follows term %d", t, of[i-1])
			}
		}
	}
}

func fenceRaises(e *env) {
	l, r := e.leaser(), &rising{env: e}
	r.next(l.claim("sa", newWorker(), long), "a claim")
	other := l.claim("sb", newWorker(), long)
	r.next(other, "a claim")
	r.fence(l, "sa", "a fence")
	if got := e.get(l, "sa"); string(got.Value) != "term" {
		e.Errorf("a fence changed the value of the term record to %q", got.Value)
	}
	if got := e.get(l, "sb"); got.Revision != other {
		e.Errorf("a fence of one key moved the term of another from %d to %d", other, got.Revision)
	}
}

func fenceEnds(e *env) {
	l := e.leaser()
	a := newWorker()
	t := l.claim("sa", a, long)
	tb := l.claim("sb", a, long)
	ctx, cancel := e.soon()
	defer cancel()
	waiting := begin(func() error { return l.WaitFree(ctx, "sa") })
	e.pause()
	e.commit(l, &store.Txn{Fence: []string{"sa"}})
	if err := e.answer(waiting, "WaitFree"); err != nil {
		e.Errorf("a fence did not wake: %v", err)
	}
	l.free("sa")
	l.holds("sb", a, tb)
	l.lost(l.Renew(e.Context(), []store.LeaseRef{{Key: "sa", Term: t, TTL: long}})[0], "renewal of a fenced lease")
	if _, err := l.try("sa", newWorker()); err != nil {
		e.Errorf("claim of a fenced lease: %v", err)
	}
}

func fenceCreates(e *env) {
	l := e.leaser()
	e.commit(l, &store.Txn{Fence: []string{"sa", "sb"}})
	a, b := e.get(l, "sa"), e.get(l, "sb")
	if a.Revision == 0 || b.Revision == 0 || a.Revision == b.Revision || len(a.Value)+len(b.Value) != 0 {
		e.Errorf("a fence created %q at %d and %q at %d", a.Value, a.Revision, b.Value, b.Revision)
	}
	l.free("sa")
}
