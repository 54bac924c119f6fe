package store_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func TestProjectionRowsRoundTrip(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	at := func(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
	row := store.ProjectionRow{
		Name: "balances", Kind: "model", Active: 2, Next: 5, Start: 7, CreatedAt: at(1), SwitchedAt: at(2),
		Generations: []store.Generation{
			{Number: 2, Revision: 1, Fingerprint: "f", Filter: "g", State: store.Active, CreatedAt: at(3)},
			{},
			{Number: 4, State: store.Retired, RetiredAt: at(-4)},
		},
		Skips: []store.Skip{{Key: "a\x00", Position: 9}, {}},
	}
	saved, err := st.SaveProjection(t.Context(), row)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "Revision", saved.Revision, 1)
	got, err := open(t, d.Crash()).Projection(t.Context(), "balances")
	if err != nil {
		t.Fatal(err)
	}
	row.Revision = 1
	wantEqual(t, "row", fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", row))
}

func TestSaveProjectionIsACompareAndSwap(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	row := store.ProjectionRow{Name: "a", Next: 1}
	saved, err := st.SaveProjection(t.Context(), row)
	if err != nil {
		t.Fatal(err)
	}
	_, err = st.SaveProjection(t.Context(), row)
	wantError(t, err, store.ErrGuard)
	guard, _ := errors.AsType[*store.GuardError](err)
	wantEqual(t, "Actual", guard.Actual, 1)
	if _, err := st.SaveProjection(t.Context(), saved); err != nil {
		t.Fatal(err)
	}
	for field, row := range map[string]store.ProjectionRow{
		"ProjectionRow.Name":                    {Name: "a\n"},
		"ProjectionRow.Next":                    {Name: "b", Next: 1, Generations: []store.Generation{{Number: 1}}},
		"ProjectionRow.Generations[0].Revision": {Name: "b", Next: 1, Generations: []store.Generation{{Revision: -1}}},
		"ProjectionRow":                         {Name: "b", Kind: strings.Repeat("x", 2<<20)},
	} {
		_, err := st.SaveProjection(t.Context(), row)
		wantInvalid(t, err, field)
	}
	_, err = st.Projection(t.Context(), "")
	wantInvalid(t, err, "ProjectionRow.Name")
}

func TestDeletedProjectionKeepsItsNextNumber(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	for _, name := range []string{"b", "a", "a.b"} {
		if _, err := st.SaveProjection(t.Context(), store.ProjectionRow{Name: name, Kind: "model", Next: 3, Active: 2}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := st.DeleteProjection(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	row, err := st.Projection(t.Context(), "a")
	if err != nil || !row.Deleted || row.Next != 3 || row.Kind != "" || row.Active != 0 {
		t.Fatalf("%+v %v", row, err)
	}
	wantError(t, st.DeleteProjection(t.Context(), "never"), store.ErrNotFound)
	_, err = st.Projection(t.Context(), "never")
	wantError(t, err, store.ErrNotFound)
	var names []string
	for row, err := range st.Projections(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, row.Name)
	}
	wantList(t, "names", names, []string{"a", "a.b", "b"})
}

// A generation may be begun between the moment that DeleteProjection looks and the moment
// that it writes: its number must not come again.
func TestDeleteProjectionSeesAGenerationThatBeginsMeanwhile(t *testing.T) {
	t.Parallel()
	var st *store.Store
	var row store.ProjectionRow
	meanwhile := false
	st, _ = setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(*store.Txn) error {
		if !meanwhile {
			return nil
		}
		meanwhile = false
		row.Next = 2
		_, err := st.SaveProjection(t.Context(), row)
		return err
	}}})
	row, err := st.SaveProjection(t.Context(), store.ProjectionRow{Name: "a", Next: 1})
	if err != nil {
		t.Fatal(err)
	}
	meanwhile = true
	if err := st.DeleteProjection(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	deleted, err := st.Projection(t.Context(), "a")
	if err != nil || !deleted.Deleted || deleted.Next != 2 {
		t.Fatalf("%+v %v", deleted, err)
	}
}

func TestUnknownControlWritesAreFoundOut(t *testing.T) {
	t.Parallel()
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprint("applied ", applied), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int64
				every := func() error { // every second write
					if calls.Add(1)%2 == 1 {
						return store.ErrUnknown
					}
					return nil
				}
				faults := memdriver.Faults{BeforeCommit: func(*store.Txn) error { return every() }}
				if applied {
					faults = memdriver.Faults{AfterCommit: func(*store.Txn, store.Result) error { return every() }}
				}
				st, _ := setup(t, memdriver.Options{Faults: faults})
				row, err := st.SaveProjection(t.Context(), store.ProjectionRow{Name: "a", Next: 1})
				if err != nil || row.Revision != 1 {
					t.Fatal(row, err)
				}
				u := st.Subscriber(balances)
				if err := u.SetPaused(t.Context(), "x"); err != nil {
					t.Fatal(err)
				}
				wantEqual(t, "Paused", info(t, u).Paused, "x")
				if err := u.Rewind(t.Context(), 0); err != nil {
					t.Fatal(err)
				}
				if err := u.ReleaseLease(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := u.Delete(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := st.DeleteProjection(t.Context(), "a"); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

func TestUnknownControlWriteIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{Faults: unknownTimes(1<<30, false)})
		u := st.Subscriber(balances)
		wantError(t, u.SetPaused(t.Context(), "x"), store.ErrUnknown)
		_, err := st.SaveProjection(t.Context(), store.ProjectionRow{Name: "a"})
		wantError(t, err, store.ErrUnknown)
	})
}
