package storetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/riffle-go/riffle/store"
)

func fencingRules() []rule {
	return []rule{
		{"a commit under a lost term is refused", needLeaser, staleTerm},
		{"a commit from an old checkpoint is refused", 0, staleCheckpoint},
		{"no update is lost while leases are stolen", needLeaser, noLostUpdate},
	}
}

func staleTerm(e *env) {
	l := e.leaser()
	commit := func(t uint64) *store.Txn {
		return &store.Txn{Guards: []store.Guard{term("sa", t)}, Puts: []store.Record{{Key: "s-checkpoint", Revision: t}}}
	}
	a, b := newWorker(), newWorker()
	old := l.claim("sa", a, long)
	e.commit(l, commit(old))
	t := l.claim("sa", b, long)
	e.guardFails(l, commit(old), store.GuardError{Key: "sa", Expected: old, Actual: t})
	e.commit(l, commit(t))
	e.commit(l, &store.Txn{Fence: []string{"sa"}})
	fenced := e.get(l, "sa").Revision
	e.guardFails(l, commit(t), store.GuardError{Key: "sa", Expected: t, Actual: fenced})
	e.commit(l, &store.Txn{Deletes: []string{"sa"}})
	e.guardFails(l, commit(t), store.GuardError{Key: "sa", Expected: t, Actual: 0})
	if r := e.get(l, "s-checkpoint"); r.Revision != t {
		e.Errorf("the checkpoint is at %d, want %d", r.Revision, t)
	}
}

func staleCheckpoint(e *env) {
	d := e.open()
	commit := func(from, to uint64) *store.Txn {
		return &store.Txn{Guards: []store.Guard{{Key: "s-checkpoint", Revision: from}}, Puts: []store.Record{{Key: "s-checkpoint", Revision: to}}}
	}
	e.commit(d, commit(0, 10))
	e.commit(d, commit(10, 10)) // a commit may leave the checkpoint where it is
	e.commit(d, commit(10, 25))
	e.guardFails(d, commit(10, 30), store.GuardError{Key: "s-checkpoint", Expected: 10, Actual: 25})
	e.guardFails(d, commit(0, 30), store.GuardError{Key: "s-checkpoint", Expected: 0, Actual: 25})
	if r := e.get(d, "s-checkpoint"); r.Revision != 25 {
		e.Errorf("the checkpoint is at %d, want 25", r.Revision)
	}
}

// noLostUpdate has workers that steal the lease from each other and go on with the one
// they lost. Each successful commit adds one to a counter, so the counter counts them.
func noLostUpdate(e *env) {
	const workers, rounds, zombie = 4, 12, 4
	l := e.leaser()
	var commits atomic.Uint64
	err := together(workers, func(int) error {
		for range rounds {
			n, err := steal(e, l, zombie)
			commits.Add(n)
			if err != nil {
				return err
			}
		}
		return nil
	})
	e.need(err, "workers")
	r := e.get(l, "s-checkpoint")
	if len(r.Value) != 8 || binary.BigEndian.Uint64(r.Value) != commits.Load() || r.Revision != commits.Load() {
		e.Errorf("%d commits succeeded, and the counter is %x at revision %d", commits.Load(), r.Value, r.Revision)
	}
}

// steal claims by force, loads, and commits until it is refused, and once more after that.
func steal(e *env, l *leaser, commits int) (uint64, error) {
	t, err := l.Claim(e.Context(), store.Claim{Key: "sa", Worker: newWorker(), TTL: long, Force: true})
	if err != nil {
		return 0, err
	}
	at, err := l.Get(e.Context(), "s-checkpoint")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	var count, done uint64
	if len(at.Value) == 8 {
		count = binary.BigEndian.Uint64(at.Value)
	}
	from, refused := at.Revision, 0
	for i := 0; i < commits && refused < 2; i++ {
		runtime.Gosched() // a rival comes in between
		_, err := l.Commit(e.Context(), &store.Txn{
			Guards: []store.Guard{term("sa", t), {Key: "s-checkpoint", Revision: from}},
			Puts:   []store.Record{{Key: "s-checkpoint", Value: binary.BigEndian.AppendUint64(nil, count+1), Revision: from + 1}},
			NoSync: i%2 == 0,
		})
		switch {
		case err == nil && refused > 0:
			return done, fmt.Errorf("a worker was refused in term %d, and then it was not", t)
		case err == nil:
			count, from, done = count+1, from+1, done+1
		case errors.Is(err, store.ErrGuard):
			refused++
		default:
			return done, err
		}
	}
	return done, nil
}

// term is the guard of a commit under a lease.
func term(key string, term uint64) store.Guard { return store.Guard{Key: key, Revision: term} }
