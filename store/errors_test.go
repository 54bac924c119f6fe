package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func TestTypedErrorsMatchTheirSentinels(t *testing.T) {
	t.Parallel()
	odd := errors.New("odd")
	id := event.NewID()
	for _, c := range []struct {
		err      error
		sentinel error
		kind     string
		says     []string
	}{
		{&store.InvalidError{Field: "F", Reason: "is bad"}, store.ErrInvalid, "invalid", []string{"F", "is bad"}},
		{&store.ConflictError{Stream: accounts.Stream("a"), Expect: store.Exact(3), Actual: 5}, store.ErrConflict, "conflict", []string{"bank/account/a", "version 3", "version 5"}},
		{&store.IDReusedError{ID: id, Position: 9}, store.ErrIDReused, "id_reused", []string{id.String(), "position 9"}},
		{&store.HeldError{Worker: id, Until: time.UnixMilli(0)}, store.ErrHeld, "held", []string{id.String(), "1970-01-01T00:00:00Z"}},
		{&store.GuardError{Key: "k\x00", Expected: 1, Actual: 2}, store.ErrGuard, "guard", []string{`"k\x00"`, "revision 2", "expected 1"}},
		{&store.CorruptError{What: "event", Key: "position 4", Err: odd}, store.ErrCorrupt, "corrupt", []string{"event", "position 4", "odd"}},
		{&store.FailedError{Cause: odd}, store.ErrFailed, "failed", []string{"reopen", "odd"}},
		{&store.LeaseLostError{Key: balances, What: "term", Expected: 1, Actual: 2}, store.ErrLeaseLost, "lease_lost", []string{"balances/0/0", "term is 2", "expected 1"}},
	} {
		wrapped := fmt.Errorf("outer: %w", c.err)
		if !errors.Is(wrapped, c.sentinel) || errors.Is(wrapped, store.ErrClosed) {
			t.Errorf("%T does not match its sentinel alone", c.err)
		}
		if kind := c.err.(interface{ ErrorType() string }).ErrorType(); kind != c.kind {
			t.Errorf("%T has type %q, want %q", c.err, kind, c.kind)
		}
		for _, s := range c.says {
			if !strings.Contains(c.err.Error(), s) {
				t.Errorf("%T does not say %q: %v", c.err, s, c.err)
			}
		}
	}
	for _, err := range []error{&store.CorruptError{Err: odd}, &store.FailedError{Cause: odd}} {
		wantError(t, err, odd)
	}
}

func TestExpectations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		expect store.Expect
		text   string
		holds  [3]bool // at versions 0, 1, 2
	}{
		{store.NoStream, "no stream", [3]bool{true, false, false}},
		{store.Exact(0), "no stream", [3]bool{true, false, false}},
		{store.Exact(2), "version 2", [3]bool{false, false, true}},
		{store.Any, "any version", [3]bool{true, true, true}},
		{store.Exists, "an existing stream", [3]bool{false, true, true}},
		{-3, "an invalid expectation", [3]bool{}},
		{store.Exact(1 << 63), "version 9223372036854775807", [3]bool{}},
	} {
		wantEqual(t, "text", c.expect.String(), c.text)
		for version, want := range c.holds {
			wantEqual(t, fmt.Sprint(c.expect, " at ", version), c.expect.Holds(uint64(version)), want)
		}
	}
}

func TestStatesHaveNames(t *testing.T) {
	t.Parallel()
	wantEqual(t, "text", fmt.Sprint(store.Waiting, store.Parked, store.Skipped, store.RowState(9)), "waiting parked skipped RowState(9)")
	wantEqual(t, "text", fmt.Sprint(store.Building, store.Active, store.Retired, store.GenerationState(9)), "building active retired GenerationState(9)")
	wantEqual(t, "text", store.SubscriberKey{Projection: "p", Generation: 2, Segment: 1}.String(), "p/2/1")
}

// Damage in one record is told by everything that reads it, and by nothing else.
func TestDamagedRecordsAreReported(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	deposit(t, st, "a", 2)
	u := st.Subscriber(balances)
	l := claim(t, u)
	_, err := l.Commit(t.Context(), store.Commit{
		To: 1, Save: []store.Snapshot{stateOf("a", 1, "A")}, Rows: []store.Row{{Key: "a", Position: 1, State: store.Parked}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.SaveProjection(t.Context(), store.ProjectionRow{Name: "balances", Next: 1}); err != nil {
		t.Fatal(err)
	}
	if err := u.SetPaused(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	reads := map[string]func() error{
		"n": func() error { return failure(st.States(ctx, "balances", 0, store.Range{})) },
		"p": func() error { return failure(u.Rows(ctx, store.Range{})) },
		"j": func() error { return failure(st.Projections(ctx)) },
		"s": func() error { return failure(st.Subscribers(ctx)) },
	}
	single := map[string]func() error{
		"n": func() error {
			_, err := st.State(ctx, store.SnapshotKey{Projection: "balances", Key: "a"})
			return err
		},
		"p": func() error { return failure(u.KeyRows(ctx, "a")) },
		"j": func() error { _, err := st.Projection(ctx, "balances"); return err },
		"s": func() error { _, err := u.Info(ctx); return err },
	}
	for space, read := range reads {
		records, err := d.List(ctx, space, "", 100)
		if err != nil || len(records) == 0 {
			t.Fatal(space, records, err)
		}
		for _, good := range records {
			if space == "s" && strings.HasSuffix(good.Key, "t") {
				continue // a term's value is read by claims only
			}
			bad := good
			bad.Value = []byte{1, 0xff}
			put := func(r store.Record) {
				if _, err := d.Commit(ctx, &store.Txn{Puts: []store.Record{r}}); err != nil {
					t.Fatal(err)
				}
			}
			put(bad)
			wantError(t, read(), store.ErrCorrupt)
			wantError(t, single[space](), store.ErrCorrupt)
			put(good)
			if err := read(); err != nil {
				t.Fatal(err)
			}
		}
		stray := store.Record{Key: space + "stray", Value: []byte{1}}
		if _, err := d.Commit(ctx, &store.Txn{Puts: []store.Record{stray}}); err != nil {
			t.Fatal(err)
		}
		if space == "s" || space == "j" { // the others list a range of their own
			wantError(t, read(), store.ErrCorrupt)
		}
		if _, err := d.Commit(ctx, &store.Txn{Deletes: []string{stray.Key}}); err != nil {
			t.Fatal(err)
		}
	}
}
