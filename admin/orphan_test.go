package admin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestWithoutCodeTheStoreIsShownAndPaused(t *testing.T) {
	t.Parallel()
	b := stricken(t)
	// The service stops, and a program without handlers looks at its store.
	bare, err := engine.New(engine.Config{Store: b.store})
	b.must(err)
	h, err := admin.New(bare, &admin.Options{Authorize: operator, Payloads: admin.Full})
	b.must(err)
	t.Cleanup(h.Close)
	b.serve(h)

	s := b.subscription("balances")
	if !s.Orphaned || s.State != "orphaned" || s.Settings != nil || s.Position == 0 {
		t.Errorf("%+v", s)
	}
	if slices.Contains(s.Actions, "rebuild") || slices.Contains(s.Actions, "skip") {
		t.Errorf("%v", s.Actions)
	}
	var rows page[rowItem]
	b.get("api/v1/subscriptions/letters/parked").into(&rows)
	if len(rows.Items) != 2 {
		t.Errorf("%+v", rows)
	}
	var states page[stateItem]
	b.get("api/v1/models/balances/states").into(&states)
	if len(states.Items) != 3 || string(states.Items[0].State.Data) != `{"Owner":"Ann","Cents":0}` {
		t.Errorf("%+v", states)
	}
	for verb, body := range map[string]m{
		"rebuild": {"confirm": "balances"}, "rewind": {"confirm": "balances", "to": "1"},
		"skip": {"confirm": "balances", "key": "ann", "position": "1"},
	} {
		if p := b.post("api/v1/subscriptions/balances/"+verb, body).problem(409, "needs-code"); !strings.Contains(p.Detail, "cmd/riffle/cli") {
			t.Errorf("%s: %s", verb, p.Detail)
		}
	}
	b.get("api/v1/models/balances/state?key=ann&at=1").problem(409, "needs-code")
	b.get("api/v1/models/balances/history?key=ann").problem(409, "needs-code")
	b.post("api/v1/subscriptions/nobody/pause", m{"reason": "x"}).problem(404, "unknown-projection")

	// What the program with the code obeys:
	b.post("api/v1/subscriptions/balances/pause", m{"reason": "from outside"}).into(new(m))
	b.until("the service has paused it", func() bool {
		all, err := b.engine.Status(t.Context())
		b.must(err)
		return all[0].Subscriber.Paused == "from outside"
	})
	b.post("api/v1/subscriptions/balances/resume", m{}).into(new(m))
	b.post("api/v1/subscriptions/letters/retry", m{"key": "ann"}).into(new(m))
	wish, err := b.store.Subscriber(store.SubscriberKey{Projection: "letters"}).Wish(t.Context())
	b.must(err)
	if b.subscription("balances").Paused != "" || len(wish.Retry) > 1 {
		t.Errorf("%+v", wish)
	}
	before := b.subscription("letters").Term
	b.post("api/v1/subscriptions/letters/release", m{"confirm": "letters"}).into(new(m))
	if after := b.subscription("letters").Term; after <= before {
		t.Errorf("term %d after %d", after, before)
	}
}

func TestASearchAmongManyRowsIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	const many = 2100
	var rows []store.Row
	for i := range many {
		if i%1000 == 0 {
			fill := make([]event.Payload, 1000)
			for j := range fill {
				fill[j] = Closed{}
			}
			b.append("ann", fill...)
		}
		rows = append(rows, store.Row{Key: "ann", Position: event.Position(i + 1), State: store.Parked, Attempts: 1, First: "x", Last: "x"})
	}
	rows[many-1].State = store.Skipped
	lease, err := b.store.Subscriber(store.SubscriberKey{Projection: "letters"}).Claim(t.Context(), event.NewID(), time.Minute)
	b.must(err)
	_, err = lease.Commit(t.Context(), store.Commit{To: many, Rows: rows})
	b.must(err)
	b.must(lease.Release(t.Context()))
	var p page[rowItem]
	b.get("api/v1/subscriptions/letters/parked?state=skipped").into(&p)
	if len(p.Items) != 0 || p.Next == "" {
		t.Fatalf("%d items, next %q", len(p.Items), p.Next)
	}
	b.get("api/v1/subscriptions/letters/parked?state=skipped&after=" + p.Next).into(&p)
	if len(p.Items) != 1 || p.Items[0].Position != many || p.Next != "" {
		t.Errorf("%+v", p)
	}
}

func TestAStateSaysThatItIsBlocked(t *testing.T) {
	t.Parallel()
	picky := projection.NewModel("picky", projection.Fold(func(b *Balance, e Deposited, _ event.Event) error {
		if e.Cents < 0 {
			return projection.Park(errors.New("less than nothing"))
		}
		b.Cents += e.Cents
		return nil
	}))
	b := setup(t, setupOptions{projections: []projection.Projection{picky}})
	b.append("ann", Deposited{Cents: 1}, Deposited{Cents: -1}, Deposited{Cents: 2})
	b.append("bob", Deposited{Cents: 3})
	b.settle()
	for key, want := range map[string]bool{"ann": true, "bob": false} {
		var s stateItem
		if b.get("api/v1/models/picky/state?key=" + key).into(&s); s.Blocked != want {
			t.Errorf("%s: %+v", key, s)
		}
		var p page[stateItem]
		if b.get("api/v1/models/picky/states?prefix=" + key).into(&p); len(p.Items) != 1 || p.Items[0].Blocked != want {
			t.Errorf("%s in the list: %+v", key, p)
		}
	}
}
