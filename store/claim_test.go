package store_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// overtaken lets a former holder do something between the look at a lease and the claim.
type overtaken struct {
	*memdriver.Driver
	before func()
}

func (o *overtaken) Claim(ctx context.Context, c store.Claim) (uint64, error) {
	if f := o.before; f != nil {
		o.before = nil
		f()
	}
	return o.Driver.Claim(ctx, c)
}

func TestTheWorkBeginsBehindTheLastCommitOfTheFormerHolder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &overtaken{Driver: memdriver.New(memdriver.Options{})}
		st := open(t, d)
		deposit(t, st, "a", 3)
		u := st.Subscriber(balances)
		old := claim(t, u)
		time.Sleep(2 * time.Minute) // it has run out, and its holder does not know
		d.before = func() {
			if _, err := old.Commit(t.Context(), store.Commit{To: 2}); err != nil {
				t.Error(err)
			}
		}
		l := claim(t, u)
		wantEqual(t, "Checkpoint", l.Checkpoint(), 2)
		if _, err := l.Commit(t.Context(), store.Commit{From: l.Checkpoint(), To: 3}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestCreatedIsTheFirstCommitOfAllLeases(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, _ := setup(t, memdriver.Options{})
		u := st.Subscriber(balances)
		first := time.Now()
		for range 3 {
			l := claim(t, u)
			for range 2 {
				if _, err := l.Commit(t.Context(), store.Commit{}); err != nil {
					t.Fatal(err)
				}
				i := info(t, u)
				if !i.CreatedAt.Equal(first) || !i.UpdatedAt.Equal(time.Now()) {
					t.Errorf("%v after the first commit: created %v, updated %v", time.Since(first), i.CreatedAt, i.UpdatedAt)
				}
				time.Sleep(time.Second)
			}
			if err := l.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
