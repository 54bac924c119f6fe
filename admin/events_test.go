package admin_test

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func TestEventsArePagedInBothDirections(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{idle: true})
	for _, order := range []string{"newest", "oldest"} {
		want := make([]event.Position, 0, 15)
		for i := range event.Position(15) {
			want = append(want, i+1)
		}
		if order == "newest" {
			slices.Reverse(want)
		}
		var got []event.Position
		var pages []page[eventItem]
		path := "api/v1/events?limit=4&order=" + order
		for cursor := ""; ; cursor = pages[len(pages)-1].Next {
			var p page[eventItem]
			b.get(path + "&after=" + cursor).into(&p)
			pages = append(pages, p)
			for _, ev := range p.Items {
				got = append(got, ev.Position)
			}
			if p.Next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", order, got, want)
		}
		if pages[0].Prev != "" || pages[1].Prev == "" {
			t.Errorf("%s: prev of the first page %q, of the second %q", order, pages[0].Prev, pages[1].Prev)
		}
		// Back again: the page before a page is the one that came before it.
		for i := len(pages) - 1; i > 0; i-- {
			var p page[eventItem]
			b.get(path + "&before=" + pages[i].Prev).into(&p)
			if len(p.Items) != 4 || p.Items[0].Position != pages[i-1].Items[0].Position || p.Next == "" {
				t.Fatalf("%s: before page %d: %+v", order, i, p)
			}
			if (i == 1) != (p.Prev == "") {
				t.Errorf("%s: page %d has prev %q", order, i-1, p.Prev)
			}
		}
	}
}

func TestEventsAreFiltered(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{idle: true})
	_, err := b.store.Append(t.Context(), store.Batch{
		Stream: Accounts.Stream("eu/1"), RoutingKey: "eu", Events: event.Of(Opened{Owner: "Eva", City: "Rome"}),
	})
	b.must(err)
	first, err := b.store.Event(t.Context(), 1)
	b.must(err)
	for query, want := range map[string][]event.Position{
		"type=bank/account.opened":                                   {1, 4, 7, 10, 13, 16},
		"type=bank/account.opened&id=a1":                             {4},
		"type=bank/account.opened&type=bank/account.deposited&id=a0": {1, 2, 3},
		"type=bank/account.unheard":                                  {},
		"aggregate=bank/account&id=a2":                               {7, 8, 9},
		"aggregate=bank/account&id=a2&name=opened":                   {7},
		"aggregate=nobody":                                           {},
		"id=a3":                                                      {10, 11, 12},
		"name=opened&id=a3":                                          {10},
		"id=" + url.QueryEscape("eu/1"):                              {16},
		"routing_key=eu":                                             {16},
		"routing_key=&id=a0":                                         {1, 2, 3},
		"from=14":                                                    {14, 15, 16},
		"from=2&to=4":                                                {2, 3, 4},
		"to=" + first.Time.Add(-time.Hour).Format(time.RFC3339):    {},
		"from=" + first.Time.Format(time.RFC3339Nano) + "&limit=1": {1},
	} {
		var p page[eventItem]
		b.get("api/v1/events?order=oldest&" + query).into(&p)
		got := []event.Position{}
		for _, ev := range p.Items {
			got = append(got, ev.Position)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
}

func TestOneEventHasItsPlace(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{idle: true})
	md := event.Metadata{}.With(event.RequestedBy, "ann")
	_, err := b.store.Append(event.WithMetadata(t.Context(), md), store.Batch{Stream: Accounts.Stream("a1"), Expect: store.Any, Events: event.Of(Deposited{Cents: 5})})
	b.must(err)
	var one struct {
		eventItem
		Stream struct {
			ID      string
			Version uint64
		}
	}
	b.get("api/v1/events/16").into(&one)
	if one.StreamID != "a1" || one.Version != 4 || one.Stream.Version != 4 || one.Metadata[event.RequestedBy] != "ann" {
		t.Errorf("%+v", one)
	}
	var around struct {
		Position event.Position
		Items    []eventItem
	}
	b.get("api/v1/events/5/stream?around=1").into(&around)
	if len(around.Items) != 3 || around.Items[0].Position != 4 || around.Items[2].Position != 6 || around.Position != 5 {
		t.Errorf("%+v", around)
	}
	b.get("api/v1/events/17").problem(404, "not-found")
	b.get("api/v1/events/0").problem(400, "invalid")
	b.get("api/v1/events/x").problem(400, "invalid")
	b.get("api/v1/events/99/stream").problem(404, "not-found")
	b.get("api/v1/events/99/causation").problem(404, "not-found")
}

func TestCausationIsFollowedBothWays(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{idle: true})
	caused := func(id string, by event.Position) event.Position {
		ev, err := b.store.Event(t.Context(), by)
		b.must(err)
		ctx := event.WithMetadata(t.Context(), event.Metadata{}.With(event.CausationID, ev.ID.String()))
		res, err := b.store.Append(ctx, store.Batch{Stream: Accounts.Stream(id), Expect: store.Any, Events: event.Of(Deposited{Cents: 1})})
		b.must(err)
		return res.Position
	}
	second := caused("x", 3)
	for range 20 {
		b.append("between", Deposited{Cents: 1})
	}
	third := caused("y", second)
	fourth := caused("z", third)
	other := caused("w", second)
	var v struct {
		Causes  []eventItem
		Effects []struct {
			eventItem
			CausedBy event.Position `json:"caused_by"`
			Depth    int
		}
		Missing    string
		Incomplete bool
		Examined   int
	}
	b.get("api/v1/events/" + third.String() + "/causation").into(&v)
	if len(v.Causes) != 2 || v.Causes[0].Position != second || v.Causes[1].Position != 3 || v.Missing != "" || v.Incomplete {
		t.Errorf("causes: %+v", v)
	}
	if len(v.Effects) != 1 || v.Effects[0].Position != fourth || v.Examined == 0 {
		t.Errorf("effects: %+v", v.Effects)
	}
	b.get("api/v1/events/3/causation").into(&v)
	if len(v.Effects) != 4 || v.Effects[2].CausedBy != third || v.Effects[2].Depth != 3 || v.Effects[3].Position != other || len(v.Causes) != 0 {
		t.Errorf("effects of the first: %+v", v.Effects)
	}
	// A cause of another system is named, not found.
	ctx := event.WithMetadata(t.Context(), event.Metadata{}.With(event.CausationID, "order-7"))
	res, err := b.store.Append(ctx, store.Batch{Stream: Accounts.Stream("v"), Events: event.Of(Closed{})})
	b.must(err)
	b.get("api/v1/events/" + res.Position.String() + "/causation").into(&v)
	if v.Missing != "order-7" || len(v.Causes) != 0 || v.Incomplete {
		t.Errorf("%+v", v)
	}
}

func TestALargePageIsWhole(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	for range 120 {
		b.append("ann", Deposited{Cents: 1})
	}
	read := func(query string, first, last event.Position, n int) page[eventItem] {
		t.Helper()
		var p page[eventItem]
		b.get("api/v1/events?limit=100&" + query).into(&p)
		if len(p.Items) != n || p.Items[0].Position != first || p.Items[n-1].Position != last {
			t.Fatalf("%s: %d items from %d to %d", query, len(p.Items), p.Items[0].Position, p.Items[len(p.Items)-1].Position)
		}
		return p
	}
	p := read("order=newest", 120, 21, 100)
	rest := read("order=newest&after="+p.Next, 20, 1, 20)
	if rest.Next != "" {
		t.Error("there is more behind the last one")
	}
	p = read("order=newest&before="+rest.Prev, 120, 21, 100)
	if p.Prev != "" || p.Next == "" {
		t.Errorf("prev %q, next %q", p.Prev, p.Next)
	}
	read("order=oldest", 1, 100, 100)
}

func TestASearchForCausesIsBounded(t *testing.T) {
	t.Parallel()
	type view struct {
		Causes, Effects []eventItem
		Missing         string
		Incomplete      bool
		Examined        int
	}
	for name, c := range map[string]struct {
		examine, between int
		found            bool
	}{
		"near":             {examine: 100, between: 30, found: true},
		"too far":          {examine: 100, between: 80},
		"far, by its time": {examine: 2100, between: 3000, found: true},
	} {
		b := setup(t, setupOptions{idle: true, limits: store.Limits{Examine: c.examine}})
		b.append("cause", Opened{})
		for left := c.between; left > 0; left -= 1000 {
			fill := make([]event.Payload, min(left, 1000))
			for i := range fill {
				fill[i] = Deposited{Cents: 1}
			}
			b.append("between", fill...)
		}
		first, err := b.store.Event(t.Context(), 1)
		b.must(err)
		ctx := event.WithMetadata(t.Context(), event.Metadata{}.With(event.CausationID, first.ID.String()))
		res, err := b.store.Append(ctx, store.Batch{Stream: Accounts.Stream("effect"), Events: event.Of(Closed{})})
		b.must(err)
		var v view
		b.get("api/v1/events/" + res.Position.String() + "/causation").into(&v)
		if (len(v.Causes) == 1) != c.found || v.Incomplete == c.found || (v.Missing == "") != c.found || v.Examined > c.examine {
			t.Errorf("%s: %+v", name, v)
		}
		v = view{}
		b.get("api/v1/events/1/causation").into(&v)
		near := c.between < c.examine // nothing was spent on causes
		if (len(v.Effects) == 1) != near || v.Incomplete == near || v.Examined > c.examine {
			t.Errorf("%s: effects: %+v", name, v)
		}
	}
}
