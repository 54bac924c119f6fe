package program_test

import (
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

const (
	accounts = event.Aggregate("bank/account")
	owners   = event.Aggregate("bank/owner")
)

func TestTheFilterHashFollowsWhatIsHandled(t *testing.T) {
	t.Parallel()
	opened, closed := accounts.Event("opened"), accounts.Event("closed")
	hash := func(p *program.Program, rules ...event.Rule) string { return p.Filter(event.NewSchema(rules...)) }
	base := func() *program.Program {
		return &program.Program{Handled: program.Tidy(store.MatchTypes(opened, closed))}
	}
	same := &program.Program{Handled: program.Tidy(store.MatchTypes(closed, opened, closed)), Strict: true}
	if hash(base()) != hash(same) {
		t.Error("order, repetition or Strict change the hash")
	}
	seen := map[string]string{hash(base()): "base"}
	for name, h := range map[string]string{
		"one type less":     hash(&program.Program{Handled: store.MatchTypes(opened)}),
		"a whole aggregate": hash(&program.Program{Handled: []store.Match{{Aggregate: accounts}}}),
		"everything":        hash(&program.Program{}),
		"nothing":           hash(&program.Program{Handled: []store.Match{}}),
		"a routing key":     hash(&program.Program{Handled: base().Handled, RoutingKey: new("eu")}),
		"no routing key":    hash(&program.Program{Handled: base().Handled, RoutingKey: new("")}),
		"streams":           hash(&program.Program{Handled: program.Restrict(base().Handled, []event.Stream{accounts.Stream("a")})}),
		"an old name":       hash(base(), event.Alias(accounts.Event("begun"), opened)),
	} {
		if other, taken := seen[h]; taken {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[h] = name
	}
}

func TestRestrictWidenTidy(t *testing.T) {
	t.Parallel()
	opened := store.Match{Aggregate: accounts, Name: "opened"}
	a := accounts.Stream("a")
	for _, c := range []struct {
		name      string
		got, want []store.Match
	}{
		{"everything of no streams is everything", program.Restrict(nil, nil), nil},
		{"everything of a stream", program.Restrict(nil, []event.Stream{a}), []store.Match{{Aggregate: accounts, ID: "a"}}},
		{"a type of a stream", program.Restrict([]store.Match{opened}, []event.Stream{a}), []store.Match{{Aggregate: accounts, ID: "a", Name: "opened"}}},
		{"foreign streams add nothing", program.Restrict([]store.Match{opened}, []event.Stream{owners.Stream("o")}), []store.Match{}},
		{"wide entries cover narrow ones", program.Tidy([]store.Match{opened, {Aggregate: accounts}, opened}), []store.Match{{Aggregate: accounts}}},
		{"names are dropped", program.Widen([]store.Match{opened, {Aggregate: accounts, Name: "closed"}}), []store.Match{{Aggregate: accounts}}},
		{"nothing stays nothing", program.Tidy([]store.Match{}), []store.Match{}},
	} {
		if (c.got == nil) != (c.want == nil) || len(c.got) != len(c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
			continue
		}
		for i := range c.got {
			if c.got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
			}
		}
	}
}

func TestSelectsIsWhatAReadWouldGive(t *testing.T) {
	t.Parallel()
	p := &program.Program{
		Match:      []store.Match{{Aggregate: accounts, ID: "a", Name: "opened"}, {Aggregate: owners}},
		RoutingKey: new("eu"),
	}
	ev := func(s event.Stream, name, key string) event.Event {
		return event.Event{Stream: s, Name: name, RoutingKey: key}
	}
	for _, c := range []struct {
		ev   event.Event
		want bool
	}{
		{ev(accounts.Stream("a"), "opened", "eu"), true},
		{ev(accounts.Stream("b"), "opened", "eu"), false},
		{ev(accounts.Stream("a"), "closed", "eu"), false},
		{ev(accounts.Stream("a"), "opened", ""), false},
		{ev(owners.Stream("o"), "renamed", "eu"), true},
	} {
		if got := p.Selects(c.ev); got != c.want {
			t.Errorf("%s %s %q: %t", c.ev.Stream, c.ev.Name, c.ev.RoutingKey, got)
		}
	}
}

func TestKeysAreChecked(t *testing.T) {
	t.Parallel()
	long := string(make([]byte, program.MaxKeyBytes))
	for key, ok := range map[string]bool{"a": true, long: true, event.Key("a", "b"): true, "": false, long + "x": false, "\xff": false} {
		if err := program.CheckKey(key); (err == nil) != ok {
			t.Errorf("key of %d bytes: %v", len(key), err)
		}
	}
}
