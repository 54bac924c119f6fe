package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// A worker may commit between the moment that Rewind reads and the moment that it writes: no
// row of that commit may be left above the checkpoint.
func TestRewindSeesWhatAWorkerCommitsMeanwhile(t *testing.T) {
	t.Parallel()
	var l *store.Lease
	steps := 0
	st, _ := setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(txn *store.Txn) error {
		if len(txn.Fence) == 0 || l == nil {
			return nil
		}
		if steps++; steps == 1 {
			row := store.Row{Key: "late", Position: 21, State: store.Parked}
			_, err := l.Commit(t.Context(), store.Commit{From: 20, To: 21, Rows: []store.Row{row}})
			return err
		}
		return nil
	}}})
	u, held := working(t, st)
	deposit(t, st, "b", 1)
	l = held
	if err := u.Rewind(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	highest, _ := highestRow(t, u)
	wantEqual(t, "highest row", highest, 7)
	wantEqual(t, "Checkpoint", info(t, u).Checkpoint, 7)
	wantEqual(t, "tries", steps, 2)
}

// A damaged store may hold rows above the checkpoint. They go, and no step on the way moves
// the checkpoint forward.
func TestRewindNeverGoesForward(t *testing.T) {
	t.Parallel()
	var checkpoints []uint64
	st, d := setup(t, memdriver.Options{
		Limits: store.Limits{CommitItems: 2},
		Faults: memdriver.Faults{BeforeCommit: func(txn *store.Txn) error {
			if len(txn.Fence) > 0 && len(txn.Puts) > 0 {
				checkpoints = append(checkpoints, txn.Puts[0].Revision)
			}
			return nil
		}},
	})
	u, _ := working(t, st)
	rows, err := d.List(t.Context(), "p", "", 1)
	if err != nil || len(rows) == 0 {
		t.Fatal(rows, err)
	}
	var damage store.Txn
	for p := range byte(4) {
		row := rows[0]
		row.Key = row.Key[:len(row.Key)-1] + string([]byte{30 + p}) // the position ends the key
		damage.Puts = append(damage.Puts, row)
	}
	if _, err := d.Commit(t.Context(), &damage); err != nil {
		t.Fatal(err)
	}
	if err := u.Rewind(t.Context(), 18); err != nil {
		t.Fatal(err)
	}
	if len(checkpoints) < 3 || checkpoints[0] > 20 || !slices.IsSortedFunc(checkpoints, func(a, b uint64) int { return int(b) - int(a) }) {
		t.Errorf("on its way from 20 to 18 the checkpoint was %d", checkpoints)
	}
	highest, _ := highestRow(t, u)
	wantEqual(t, "highest row", highest, 17) // those at 18 are none
	wantEqual(t, "Checkpoint", info(t, u).Checkpoint, 18)
}

func TestRewindOfASubscriberThatNeverCommittedBeginsIt(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	u := st.Subscriber(balances)
	claim(t, u)
	if err := u.Rewind(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if i := info(t, u); i.CreatedAt.IsZero() || !i.CreatedAt.Equal(i.UpdatedAt) {
		t.Errorf("created %v, updated %v", i.CreatedAt, i.UpdatedAt)
	}
}

// A later version wrote the checkpoint: an older one must not go by what it can read of it.
func TestACheckpointOfALaterVersionIsLeftAlone(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	u, l := working(t, st)
	if err := l.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	recs, err := d.List(t.Context(), "s", "", 1) // the checkpoint sorts first
	if err != nil || len(recs) != 1 || recs[0].Revision != 20 {
		t.Fatal(recs, err)
	}
	later := recs[0]
	later.Value = append([]byte{77}, later.Value[1:]...)
	if _, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{later}}); err != nil {
		t.Fatal(err)
	}
	wantError(t, u.Rewind(t.Context(), 5), store.ErrIncompatible)
	wantError(t, u.Delete(t.Context()), store.ErrIncompatible)
	_, err = u.Claim(t.Context(), event.NewID(), time.Minute)
	wantError(t, err, store.ErrIncompatible)
	if rec, err := d.Get(t.Context(), later.Key); err != nil || rec.Revision != 20 || rec.Value[0] != 77 {
		t.Errorf("the record is %+v, %v", rec, err)
	}
}
