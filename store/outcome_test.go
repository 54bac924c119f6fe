package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// unknownTimes makes the first n commits end with an unknown outcome, before or
// after they are applied.
func unknownTimes(n int, applied bool) memdriver.Faults {
	var left atomic.Int64
	left.Store(int64(n))
	answer := func() error {
		if left.Add(-1) >= 0 {
			return store.ErrUnknown
		}
		return nil
	}
	if applied {
		return memdriver.Faults{AfterCommit: func(*store.Txn, store.Result) error { return answer() }}
	}
	return memdriver.Faults{BeforeCommit: func(*store.Txn) error { return answer() }}
}

func TestUnknownOutcomeIsFoundOut(t *testing.T) {
	t.Parallel()
	for _, expect := range []store.Expect{store.NoStream, store.Any} {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v applied %v", expect, applied), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					st, _ := setup(t, memdriver.Options{Faults: unknownTimes(3, applied)})
					res, err := st.Append(t.Context(), someBatches(expect, expect)...)
					if err != nil {
						t.Fatal(err)
					}
					wantEqual(t, "First", res.First, 1)
					wantEqual(t, "Position", res.Position, 6)
					wantEqual(t, "events", len(collect(t, st.Events(t.Context(), store.Query{}))), 6)
				})
			})
		}
	}
}

func TestUnknownOutcomeOfAnyWithoutOnce(t *testing.T) {
	t.Parallel()
	for _, applied := range []bool{false, true} {
		t.Run(fmt.Sprint("applied ", applied), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				st, _ := setup(t, memdriver.Options{Faults: unknownTimes(1, applied)})
				res, err := st.Append(t.Context(), store.Batch{
					Stream: accounts.Stream("a"), Expect: store.Any, Events: event.Of(deposited{1}, deposited{2}),
				})
				if !applied { // it may still be on its way: to append again could do it twice
					wantError(t, err, store.ErrUnknown)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				wantEqual(t, "Position", res.Position, 2)
				wantEqual(t, "Version", res.Version, 2)
			})
		})
	}
}

func TestUnknownOutcomeStaysUnknown(t *testing.T) {
	t.Parallel()
	t.Run("when nothing can be found out", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st, _ := setup(t, memdriver.Options{Faults: unknownTimes(1<<30, false)})
			_, err := st.Append(t.Context(), someBatches(store.NoStream)...)
			wantError(t, err, store.ErrUnknown)
		})
	})
	t.Run("when the context ends", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		st, _ := setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(*store.Txn) error {
			cancel()
			return store.ErrUnknown
		}}})
		_, err := st.Append(ctx, someBatches(store.NoStream)...)
		wantError(t, err, store.ErrUnknown)
	})
	t.Run("when the store fails", func(t *testing.T) {
		t.Parallel()
		var d *memdriver.Driver
		st, d := setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(*store.Txn) error {
			if d.Err() != nil {
				return nil
			}
			d.Fail(errors.New("disk"))
			return store.ErrUnknown
		}}})
		_, err := st.Append(t.Context(), someBatches(store.NoStream)...)
		wantError(t, err, store.ErrUnknown)
		wantError(t, err, store.ErrFailed)
	})
}

func TestUnknownThenConflictIsAConflict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		var st *store.Store
		st, _ = setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(*store.Txn) error {
			if calls.Add(1) != 1 {
				return nil
			}
			deposit(t, st, "s0", 1) // somebody else is faster
			return store.ErrUnknown
		}}})
		_, err := st.Append(t.Context(), someBatches(store.NoStream)...)
		wantError(t, err, store.ErrConflict)
		if errors.Is(err, store.ErrUnknown) {
			t.Fatal(err)
		}
	})
}

func TestUnknownWriteThatArrivesLateIsNotDoneTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d *memdriver.Driver
		var late *store.Txn
		var st *store.Store
		calls := 0
		st, d = setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(txn *store.Txn) error {
			if late == nil && len(txn.Appends) == 0 {
				return nil
			}
			switch calls++; calls {
			case 1:
				late = txn
				return store.ErrUnknown
			case 2: // the first one arrives before the second
				if _, err := d.Commit(t.Context(), late); err != nil {
					t.Error(err)
				}
			}
			return nil
		}}})
		res, err := st.Append(t.Context(), someBatches(store.NoStream, store.Any)...)
		if err != nil || res.Position != 6 {
			t.Fatal(res, err)
		}
		head, err := st.Head(t.Context())
		if err != nil || head.Position != 6 {
			t.Fatal("appended twice", head, err)
		}
		u := st.Subscriber(balances)
		l := claim(t, u)
		late, calls = nil, 0
		res, err = l.Commit(t.Context(), store.Commit{To: 3, Emit: []store.Batch{
			{Stream: orders.Stream("1"), Expect: store.Any, Events: event.Of(placed{})},
			{Stream: orders.Stream("1"), Expect: store.Any, Events: event.Of(placed{})},
		}})
		if err != nil || res.First != 7 || res.Position != 8 {
			t.Fatal(res, err)
		}
		if head, err = st.Head(t.Context()); err != nil || head.Position != 8 {
			t.Fatal("emitted twice", head, err)
		}
		wantEqual(t, "checkpoint", info(t, u).Checkpoint, 3)
	})
}

// TestUnknownRecordThatArrivesLateIsFoundOut: the second write then fails by the first.
func TestUnknownRecordThatArrivesLateIsFoundOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, own := range []bool{true, false} {
			var d *memdriver.Driver
			var late *store.Txn
			var st *store.Store
			calls := 0
			st, d = setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(txn *store.Txn) error {
				switch calls++; calls {
				case 1:
					late = txn
					return store.ErrUnknown
				case 2:
					if !own { // somebody else's
						other := *late
						other.Puts = []store.Record{{Key: late.Puts[0].Key, Value: []byte("other"), Revision: late.Puts[0].Revision}}
						late = &other
					}
					if _, err := d.Commit(t.Context(), late); err != nil {
						t.Error(err)
					}
				}
				return nil
			}}})
			_, err := st.SaveProjection(t.Context(), store.ProjectionRow{Name: "balances", Kind: "model"})
			if own && err != nil {
				t.Errorf("its own write: %v", err)
			}
			if !own && !errors.Is(err, store.ErrGuard) {
				t.Errorf("the write of another: %v, want ErrGuard", err)
			}
		}
	})
}

func TestUnknownCommitThatIsThenRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(t *testing.T, u *store.Subscriber)
		want      error
	}{
		"by a new term": {func(t *testing.T, u *store.Subscriber) {
			if err := u.ReleaseLease(t.Context()); err != nil {
				t.Error(err)
			}
		}, store.ErrLeaseLost},
		"by a conflict": {func(t *testing.T, u *store.Subscriber) {}, store.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var u *store.Subscriber
				first := true
				st, _ := setup(t, memdriver.Options{Faults: memdriver.Faults{BeforeCommit: func(txn *store.Txn) error {
					if len(txn.Appends) > 0 && len(txn.Guards) > 0 && first {
						first = false
						c.meanwhile(t, u)
						return store.ErrUnknown
					}
					return nil
				}}})
				deposit(t, st, "a", 2)
				u = st.Subscriber(balances)
				_, err := claim(t, u).Commit(t.Context(), store.Commit{To: 1, Emit: []store.Batch{
					{Stream: accounts.Stream("a"), Expect: store.Exact(7), Events: event.Of(deposited{})},
				}})
				wantError(t, err, c.want)
				if errors.Is(err, store.ErrUnknown) {
					t.Fatal(err)
				}
			})
		})
	}
}

// forgetful makes claims whose answer is lost.
type forgetful struct {
	*memdriver.Driver
	lost int
}

func (f *forgetful) Claim(ctx context.Context, c store.Claim) (uint64, error) {
	term, err := f.Driver.Claim(ctx, c)
	if f.lost--; f.lost >= 0 && err == nil {
		return 0, store.ErrUnknown
	}
	return term, err
}

func TestUnknownClaimIsMadeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &forgetful{memdriver.New(memdriver.Options{}), 2}
		st := open(t, f)
		u := st.Subscriber(balances)
		l := claim(t, u)
		if _, err := l.Commit(t.Context(), store.Commit{}); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "term", info(t, u).Term, l.Term())
		f.lost = 1 << 30
		_, err := st.Subscriber(store.SubscriberKey{Projection: "b"}).Claim(t.Context(), event.NewID(), 1)
		wantError(t, err, store.ErrUnknown)
	})
}
