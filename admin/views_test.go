package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// filled is a bed with accounts a0 to a4, of three events each.
func filled(t *testing.T, o setupOptions) *bed {
	t.Helper()
	b := setup(t, o)
	for i := range 5 {
		b.append(fmt.Sprintf("a%d", i), Opened{Owner: "Ann", City: "Bern"}, Deposited{Cents: 100}, Deposited{Cents: 20, Note: "thanks"})
	}
	if !o.idle {
		b.settle()
	}
	return b
}

func TestOverviewShowsTheWhole(t *testing.T) {
	t.Parallel()
	disk := func() admin.Disk { return admin.Disk{Total: 1 << 20, WAL: 10} }
	for _, dir := range []string{"", t.TempDir()} {
		b := filled(t, setupOptions{dir: dir, admin: &admin.Options{Disk: func(context.Context) (admin.Disk, error) { return disk(), nil }}})
		var v struct {
			Store struct {
				Name string
				Head event.Position
			}
			AppendRate    *float64 `json:"append_rate"`
			Disk          *admin.Disk
			Health        struct{ Live, Ready bool }
			Subscriptions struct {
				Total  int
				States map[string]int
			}
			Access struct {
				Actions  bool
				Payloads string
			}
		}
		b.until("the engine is ready", func() bool {
			b.get("api/v1/overview").into(&v)
			return v.Health.Ready
		})
		if v.Store.Name != "bank" || v.Store.Head != 15 || v.Subscriptions.Total != 3 || !v.Health.Live {
			t.Errorf("%+v", v)
		}
		if v.Access.Actions || v.Access.Payloads != "masked" {
			t.Errorf("access: %+v", v.Access)
		}
		if v.AppendRate == nil || *v.AppendRate <= 0 {
			t.Error("nothing is known of the rate of appends, right after some")
		}
		if v.Disk == nil || v.Disk.Total != 1<<20 {
			t.Errorf("disk: %+v", v.Disk)
		}
	}
}

func TestSubscriptionsShowWhatTheEngineKnows(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{})
	var list page[subscription]
	b.until("all are live", func() bool {
		list = page[subscription]{}
		b.get("api/v1/subscriptions").into(&list)
		return !slices.ContainsFunc(list.Items, func(s subscription) bool { return s.State != "live" })
	})
	if len(list.Items) != 3 {
		t.Fatalf("%+v", list)
	}
	s := list.Items[0]
	if s.Name != "balances" || s.Kind != "model" || s.Owner == "" || s.Term == 0 || s.Head != 15 || s.Backlog != 0 {
		t.Errorf("%+v", s)
	}
	one := b.subscription("balances")
	if len(one.Generations) != 1 || one.Generations[0].State != "active" || one.Settings == nil || one.Settings.PageSize != store.DefaultPageSize {
		t.Errorf("%+v", one)
	}
	b.get("api/v1/subscriptions/nobody").problem(404, "unknown-projection")
}

func TestRatesAreKnownFromTheSecondSampleOn(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{})
	if s := b.subscription("balances"); s.Rate != nil {
		t.Errorf("rate %v at first sight", *s.Rate)
	}
	i := 0
	b.until("there is a rate", func() bool {
		i++
		b.append("more", Deposited{Cents: 1})
		s := b.subscription("balances")
		return s.Rate != nil && *s.Rate > 0
	})
}

func TestTypesAndStreamsAreListed(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{idle: true})
	var types page[struct {
		Type string
		Last event.Position
	}]
	b.get("api/v1/types").into(&types)
	if len(types.Items) != 2 || types.Items[0].Type != "bank/account.deposited" || types.Items[0].Last != 15 {
		t.Errorf("%+v", types)
	}
	b.append("a0\x00\x01weird/../id", Closed{})
	var ids []string
	path := "api/v1/streams?aggregate=bank/account&limit=2"
	for cursor := ""; ; {
		var p page[struct {
			ID      string
			Version uint64
		}]
		b.get(path + "&after=" + cursor).into(&p)
		for _, s := range p.Items {
			ids = append(ids, s.ID)
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	if want := []string{"a0", "a0\x00\x01weird/../id", "a1", "a2", "a3", "a4"}; !slices.Equal(ids, want) {
		t.Errorf("%q", ids)
	}
	var p page[struct{ ID string }]
	b.get("api/v1/streams?aggregate=bank/account&prefix=a3").into(&p)
	if len(p.Items) != 1 || p.Items[0].ID != "a3" {
		t.Errorf("%+v", p)
	}
	b.get("api/v1/streams").problem(400, "invalid")
}

func TestStatesAreListedByKey(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{admin: &admin.Options{Payloads: admin.Full}})
	var models page[struct {
		Name, Aggregate string
		History         bool
	}]
	b.get("api/v1/models").into(&models)
	if len(models.Items) != 2 || !models.Items[0].History || models.Items[0].Aggregate != string(Accounts) || models.Items[1].History {
		t.Errorf("%+v", models)
	}
	var keys []string
	for cursor := ""; ; {
		var p page[stateItem]
		b.get("api/v1/models/balances/states?limit=2&after=" + cursor).into(&p)
		for _, s := range p.Items {
			keys = append(keys, s.Key)
			if string(s.State.Data) != `{"Owner":"Ann","Cents":120}` || s.Version != 3 {
				t.Errorf("%+v", s)
			}
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	if !slices.Equal(keys, []string{"a0", "a1", "a2", "a3", "a4"}) {
		t.Errorf("%q", keys)
	}
	var p page[stateItem]
	b.get("api/v1/models/balances/states?prefix=a3").into(&p)
	if len(p.Items) != 1 {
		t.Errorf("%+v", p)
	}
	var s stateItem
	b.get("api/v1/models/cities/state?key=Bern").into(&s)
	if string(s.State.Data) != "5" || s.Exact || s.At < s.Position {
		t.Errorf("%+v", s)
	}
	b.get("api/v1/models/balances/state?key=nobody").problem(404, "not-found")
	b.get("api/v1/models/balances/state").problem(400, "invalid")
	b.get("api/v1/models/letters/states").problem(400, "invalid")
	b.get("api/v1/models/nobody/states").problem(404, "unknown-projection")
}

func TestAStateIsShownAsItWas(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{admin: &admin.Options{Payloads: admin.Full}})
	b.append("ann", Opened{Owner: "Ann", City: "Bern"}, Deposited{Cents: 1})
	b.append("bob", Opened{Owner: "Bob", City: "Rome"})
	b.append("ann", Deposited{Cents: 10}, Closed{}, Deposited{Cents: 100})
	b.settle()
	at := func(at string) (s stateItem) {
		b.get("api/v1/models/balances/state?key=ann&at=" + url.QueryEscape(at)).into(&s)
		return s
	}
	for point, want := range map[string]string{
		"version:1": `{"Owner":"Ann","Cents":0}`, "version:2": `{"Owner":"Ann","Cents":1}`,
		"3": `{"Owner":"Ann","Cents":1}`, "version:4": `{"Owner":"Ann","Cents":11}`,
		"head": `{"Owner":"Ann","Cents":111}`, time.Now().Add(time.Hour).Format(time.RFC3339): `{"Owner":"Ann","Cents":111}`,
	} {
		if s := at(point); string(s.State.Data) != want || !s.Exact || s.Position == 0 {
			t.Errorf("at %s: %s %+v", point, s.State.Data, s)
		}
	}
	if s := at("3"); s.At != 3 || s.Position != 2 || s.Version != 2 {
		t.Errorf("at 3: %+v", s)
	}
	var h struct {
		Stream struct{ Version uint64 }
		page[eventItem]
	}
	b.get("api/v1/models/balances/history?key=ann&order=oldest&limit=3").into(&h)
	if h.Stream.Version != 5 || len(h.Items) != 3 || h.Next == "" || !h.Items[0].Folded {
		t.Errorf("%+v", h)
	}
	b.get("api/v1/models/balances/history?key=ann&order=oldest&after=" + h.Next).into(&h)
	if len(h.Items) != 2 || h.Items[0].Name != "closed" || h.Items[0].Folded || h.Prev == "" {
		t.Errorf("%+v", h)
	}
	b.get("api/v1/models/balances/state?key=ann&at=version:6").problem(404, "not-found")
	b.get("api/v1/models/balances/state?key=ann&at=version:0").problem(400, "invalid")
	b.get("api/v1/models/balances/state?key=ann&at=soon").problem(400, "invalid")
	b.get("api/v1/models/balances/state?key=bob&at=2").problem(404, "not-found")
	b.get("api/v1/models/balances/history?key=nobody").problem(404, "not-found")
	b.get("api/v1/models/cities/history?key=Bern").problem(409, "no-history")
	b.get("api/v1/models/cities/state?key=Bern&at=head").problem(409, "no-history")
}

func TestAFoldThatFailsIsAProblem(t *testing.T) {
	t.Parallel()
	broken := projection.NewModel("broken", projection.Fold(func(*Balance, Deposited, event.Event) error { return fmt.Errorf("cannot count") }))
	b := setup(t, setupOptions{idle: true, projections: []projection.Projection{broken}})
	b.append("ann", Opened{}, Deposited{Cents: 1})
	if p := b.get("api/v1/models/broken/state?key=ann&at=head").problem(422, "fold"); p.Detail == "" {
		t.Error("no detail")
	}
}

func TestTheStoreTellsItsLimitsAndTypes(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{idle: true})
	var v struct {
		Head       event.Position
		Limits     map[string]int
		Traits     map[string]bool
		Aggregates []struct {
			Aggregate string
			Types     []string
		}
		Backups struct{ Enabled bool }
	}
	b.get("api/v1/store").into(&v)
	if v.Head != 15 || v.Limits["examine"] == 0 || !v.Traits["dense"] || v.Backups.Enabled {
		t.Errorf("%+v", v)
	}
	if len(v.Aggregates) != 1 || !slices.Equal(v.Aggregates[0].Types, []string{"deposited", "opened"}) {
		t.Errorf("%+v", v.Aggregates)
	}
}

func TestAnEmptyStoreHasEmptyViews(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	for _, path := range []string{
		"overview", "subscriptions", "subscriptions/balances", "subscriptions/balances/parked", "events", "types",
		"models", "models/balances/states", "store", "streams?aggregate=none",
	} {
		if a := b.get("api/v1/" + path); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}
