package store_test

import (
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// A worker may claim, and commit, between any two steps of Delete: then it goes on, and Delete
// says that it lost.
func TestDeleteLosesAgainstWhatAWorkerDoesMeanwhile(t *testing.T) {
	t.Parallel()
	// An expired lease is not held, but as long as nobody claims it is good for commits.
	expired := func(t *testing.T, u *store.Subscriber) *store.Lease {
		l, err := u.Claim(t.Context(), event.NewID(), time.Nanosecond)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	commit := func(t *testing.T, l *store.Lease, to event.Position) {
		if _, err := l.Commit(t.Context(), store.Commit{To: to}); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		rewound  func(t *testing.T, u *store.Subscriber) *store.Lease // when the checkpoint is set back
		deleting func(t *testing.T, u *store.Subscriber, l *store.Lease) *store.Lease
		want     error
		at       event.Position
	}{
		"claims before the last step": {
			deleting: func(t *testing.T, u *store.Subscriber, _ *store.Lease) *store.Lease { return claim(t, u) },
			want:     store.ErrHeld,
		},
		"commits before the last step": {
			rewound: expired,
			deleting: func(t *testing.T, _ *store.Subscriber, l *store.Lease) *store.Lease {
				commit(t, l, 5)
				return l
			},
			want: store.ErrGuard, at: 5,
		},
		"claims and commits in between": {
			rewound: func(t *testing.T, u *store.Subscriber) *store.Lease {
				l := expired(t, u)
				commit(t, l, 5)
				return l
			},
			want: store.ErrGuard, at: 5,
		},
		"claims and commits nothing yet": {
			rewound: func(t *testing.T, u *store.Subscriber) *store.Lease {
				l := expired(t, u)
				commit(t, l, 0)
				return l
			},
			want: store.ErrGuard,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var u *store.Subscriber
			var l *store.Lease
			after, before := c.rewound, c.deleting
			st, _ := setup(t, memdriver.Options{Faults: memdriver.Faults{
				AfterCommit: func(txn *store.Txn, _ store.Result) error {
					if f := after; f != nil && len(txn.Fence) > 0 && u != nil {
						after = nil
						l = f(t, u)
					}
					return nil
				},
				BeforeCommit: func(txn *store.Txn) error {
					if f := before; f != nil && len(txn.Deletes) == 3 && len(txn.Fence) == 0 {
						before = nil
						l = f(t, u, l)
					}
					return nil
				},
			}})
			u, _ = working(t, st)
			wantError(t, u.Delete(t.Context()), c.want)
			wantEqual(t, "Checkpoint", info(t, u).Checkpoint, c.at)
			wantEqual(t, "Term", info(t, u).Term, l.Term())
			if _, err := l.Commit(t.Context(), store.Commit{From: c.at, To: 6}); err != nil {
				t.Errorf("the worker that won: %v", err)
			}
		})
	}
}
