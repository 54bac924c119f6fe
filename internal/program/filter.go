package program

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Filter returns a hash of what the program handles, as lower-case hex: the stored names
// of its events under the store's schema, its streams and its routing key. Two programs
// with the same Filter get the same events. Order and repetition of handlers do not
// matter; Strict does not either, since it changes no state.
func (p *Program) Filter(schema *event.Schema) string {
	if hash, ok := p.filters.Load(schema); ok {
		return hash.(string)
	}
	hash := p.filter(schema)
	p.filters.Store(schema, hash)
	return hash
}

func (p *Program) filter(schema *event.Schema) string {
	h := sha256.New()
	write := func(s string) {
		h.Write([]byte(event.Key(s, "")))
	}
	switch {
	case p.RoutingKey == nil:
		write("any routing key")
	default:
		write("routing key")
		write(*p.RoutingKey)
	}
	if p.Handled == nil {
		write("every event")
	}
	for _, m := range stored(p.Handled, schema) {
		write(string(m.Aggregate))
		write(m.ID)
		write(m.Name)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// stored expands names to those under which events may be stored, sorted.
func stored(match []store.Match, schema *event.Schema) []store.Match {
	var out []store.Match
	for _, m := range match {
		if m.Name == "" {
			out = append(out, m)
			continue
		}
		for _, t := range schema.Sources(m.Aggregate.Event(m.Name)) {
			out = append(out, store.Match{Aggregate: t.Aggregate, ID: m.ID, Name: t.Name})
		}
	}
	slices.SortFunc(out, compareMatches)
	return slices.Compact(out)
}
