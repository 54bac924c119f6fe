package storetest

import (
	"errors"

	"github.com/riffle-go/riffle/store"
)

func emitRules() []rule {
	return []rule{
		{"a commit writes events and records together", needEmits, emitsTogether},
		{"a guard that does not hold leaves no event", needEmits, guardLeavesNoEvent},
		{"a conflict leaves no record", needEmits, conflictLeavesNoRecord},
		{"of concurrent commits with emits, each is whole", needEmits, emitRace},
	}
}

func emitsTogether(e *env) {
	d := e.open()
	e.put(d, store.Record{Key: "s-checkpoint", Revision: 4}, store.Record{Key: "p-waiting", Revision: 1})
	txn := appends(appending(accounts.Stream("a"), store.NoStream, "opened"), appending(orders.Stream("b"), store.Any, "placed", "shipped"))
	txn.Guards = []store.Guard{{Key: "s-checkpoint", Revision: 4}}
	txn.Puts = []store.Record{{Key: "s-checkpoint", Value: []byte("x"), Revision: 5}, {Key: "n-state", Revision: 5}}
	txn.Deletes = []string{"p-waiting"}
	res := e.commit(d, txn)
	log := e.verify(d)
	if len(log) != 3 || res.First != log[0].Position || res.Position != log[2].Position || res.Version != 1 {
		e.Errorf("the result is %+v, the positions are %v", res, positions(log))
	}
	e.listed(d, txn.Puts)
}

func guardLeavesNoEvent(e *env) {
	d := e.open()
	kept := []store.Record{{Key: "s-checkpoint", Revision: 4}}
	e.put(d, kept...)
	txn := appends(appending(accounts.Stream("a"), store.NoStream, "opened"))
	txn.Guards = []store.Guard{{Key: "s-checkpoint", Revision: 3}}
	txn.Puts = []store.Record{{Key: "s-checkpoint", Revision: 9}}
	e.guardFails(d, txn, store.GuardError{Key: "s-checkpoint", Expected: 3, Actual: 4})
	txn.Appends[0].Expect = store.Exact(17) // guards are checked first
	e.guardFails(d, txn, store.GuardError{Key: "s-checkpoint", Expected: 3, Actual: 4})
	if log := e.verify(d); len(log) != 0 {
		e.Errorf("%d events of a refused commit", len(log))
	}
	e.listed(d, kept)
}

func conflictLeavesNoRecord(e *env) {
	d := e.open()
	kept := []store.Record{{Key: "s-checkpoint", Revision: 4}, {Key: "s-term", Value: []byte("t"), Revision: 1}, {Key: "p-waiting", Revision: 1}}
	e.put(d, kept...)
	e.append(d, accounts.Stream("a"), "opened")
	txn := appends(appending(orders.Stream("b"), store.Any, "placed"), appending(accounts.Stream("a"), store.NoStream, "opened"))
	txn.Guards = []store.Guard{{Key: "s-checkpoint", Revision: 4}}
	txn.Puts = []store.Record{{Key: "s-checkpoint", Revision: 5}, {Key: "n-state", Revision: 5}}
	txn.Deletes, txn.Fence = []string{"p-waiting"}, []string{"s-term"}
	_, err := d.Commit(e.Context(), txn)
	e.conflict(err, store.ConflictError{Stream: accounts.Stream("a"), Expect: store.NoStream, Actual: 1, Batch: 1})
	e.listed(d, kept)
	if log := e.verify(d); len(log) != 1 {
		e.Errorf("%d events, want 1", len(log))
	}
}

// emitRace has rivals that move one checkpoint and append to one stream.
func emitRace(e *env) {
	const rivals, each = 5, 12
	d := e.open()
	s := accounts.Stream("emitted")
	err := together(rivals, func(int) error {
		for done := 0; done < each; {
			at, err := d.Get(e.Context(), "s-checkpoint")
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
			txn := appends(appending(s, store.Any, "emitted"))
			txn.Guards = []store.Guard{{Key: "s-checkpoint", Revision: at.Revision}}
			txn.Puts = []store.Record{{Key: "s-checkpoint", Revision: at.Revision + 1}}
			switch _, err := d.Commit(e.Context(), txn); {
			case err == nil:
				done++
			case !errors.Is(err, store.ErrGuard):
				return err
			}
		}
		return nil
	})
	e.need(err, "rivals")
	log, r := e.verify(d), e.get(d, "s-checkpoint")
	if len(log) != rivals*each || r.Revision != rivals*each {
		e.Errorf("%d events and a checkpoint of %d, want %d of both", len(log), r.Revision, rivals*each)
	}
}
