package storetest

import (
	"errors"
	"slices"

	"github.com/riffle-go/riffle/store"
)

func guardRules() []rule {
	return []rule{
		{"a guard holds at the revision and for what does not exist at 0", 0, guardsHold},
		{"a commit whose guard does not hold writes nothing", 0, guardsWriteNothing},
		{"of concurrent commits with one guard, one wins", 0, guardRace},
	}
}

// guardFails checks the refusal of a commit.
func (e *env) guardFails(d store.Driver, txn *store.Txn, want store.GuardError) {
	e.Helper()
	_, err := d.Commit(e.Context(), txn)
	got, ok := errors.AsType[*store.GuardError](err)
	if !ok || !errors.Is(err, store.ErrGuard) {
		e.Errorf("got the error %v, want a refusal: %+v", err, want)
	} else if *got != want {
		e.Errorf("the refusal says %+v, want %+v", *got, want)
	}
}

func guardsHold(e *env) {
	d := e.open()
	e.put(d, store.Record{Key: "na", Revision: 5}, store.Record{Key: "nzero", Revision: 0})
	guard := func(key string, revision uint64) *store.Txn {
		return &store.Txn{Guards: []store.Guard{{Key: key, Revision: revision}}, Puts: []store.Record{{Key: "nout", Revision: 1}}}
	}
	e.commit(d, guard("na", 5))
	e.commit(d, guard("nnone", 0))
	e.commit(d, guard("nzero", 0))
	e.guardFails(d, guard("na", 4), store.GuardError{Key: "na", Expected: 4, Actual: 5})
	e.guardFails(d, guard("na", 6), store.GuardError{Key: "na", Expected: 6, Actual: 5})
	e.guardFails(d, guard("na", 0), store.GuardError{Key: "na", Expected: 0, Actual: 5})
	e.guardFails(d, guard("nnone", 1), store.GuardError{Key: "nnone", Expected: 1, Actual: 0})
	e.guardFails(d, &store.Txn{Guards: []store.Guard{{Key: "na", Revision: 5}, {Key: "nzero", Revision: 2}}},
		store.GuardError{Key: "nzero", Expected: 2, Actual: 0})
	e.commit(d, &store.Txn{Guards: []store.Guard{{Key: "na", Revision: 5}}, Deletes: []string{"na"}})
	e.guardFails(d, guard("na", 5), store.GuardError{Key: "na", Expected: 5, Actual: 0})
}

func guardsWriteNothing(e *env) {
	d := e.open()
	kept := []store.Record{{Key: "na", Value: []byte("1"), Revision: 1}, {Key: "nb", Value: []byte("2"), Revision: 1}}
	e.put(d, kept...)
	for _, sync := range []bool{true, false} {
		e.guardFails(d, &store.Txn{
			Guards:  []store.Guard{{Key: "na", Revision: 1}, {Key: "nb", Revision: 2}},
			Puts:    []store.Record{{Key: "na", Revision: 2}, {Key: "nc", Revision: 1}},
			Deletes: []string{"nb"}, Fence: []string{"na"}, NoSync: !sync,
		}, store.GuardError{Key: "nb", Expected: 2, Actual: 1})
		e.listed(d, kept)
	}
}

func guardRace(e *env) {
	const rounds, rivals = 15, 6
	d := e.open()
	for revision := range uint64(rounds) {
		wins := make([]int, rivals)
		err := together(rivals, func(i int) error {
			_, err := d.Commit(e.Context(), &store.Txn{
				Guards: []store.Guard{{Key: "na", Revision: revision}},
				Puts:   []store.Record{{Key: "na", Value: []byte{byte(i)}, Revision: revision + 1}},
				NoSync: i%2 == 0,
			})
			if err == nil {
				wins[i] = 1
			} else if !errors.Is(err, store.ErrGuard) {
				return err
			}
			return nil
		})
		e.need(err, "commits at revision %d", revision)
		winner := slices.Index(wins, 1)
		if slices.Max(wins) == 0 || slices.Contains(wins[winner+1:], 1) {
			e.Fatalf("which of %d commits at revision %d succeeded: %v, want one", rivals, revision, wins)
		}
		if r := e.get(d, "na"); r.Revision != revision+1 || r.Value[0] != byte(winner) {
			e.Fatalf("the record is %q at revision %d, but commit %d won", r.Value, r.Revision, winner)
		}
	}
}
