package pebblestore

import (
	"encoding/binary"
	"fmt"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/escape"
)

// spaceTitles name the key spaces of the driver in errors, where no key is known.
var spaceTitles = map[byte]string{
	spaceMeta:    "the meta records",
	spaceDict:    "the dictionary",
	spaceLog:     "the log",
	spaceStream:  "the streams",
	spaceName:    "the events by name",
	spaceRouting: "the routing keys",
	spaceID:      "the kept event ids",
}

// place says in words what a key, or the beginning of one, stands for. What it cannot take
// apart, such as the key of a record, it quotes.
func (d *dictionary) place(key []byte) string {
	if len(key) == 0 {
		return `""`
	}
	rest := key[1:]
	if title, ok := spaceTitles[key[0]]; ok && len(rest) == 0 {
		return title
	}
	text, numberOf := "", "position"
	switch key[0] {
	case spaceLog:
		text = "" // the position says it all
	case spaceStream:
		if len(rest) < 4 {
			return fmt.Sprintf("%q", key)
		}
		id, behind, ok := escape.Decode(rest[4:])
		if !ok {
			return fmt.Sprintf("streams of %s", d.aggregateOf(binary.BigEndian.Uint32(rest)))
		}
		text, numberOf, rest = "stream "+d.aggregateOf(binary.BigEndian.Uint32(rest)).Stream(id).String(), "version", behind
	case spaceName:
		if len(rest) < 4 {
			return fmt.Sprintf("%q", key)
		}
		text, rest = "events named "+d.typeOf(binary.BigEndian.Uint32(rest)), rest[4:]
	case spaceRouting:
		routingKey, behind, ok := escape.Decode(rest)
		if !ok {
			return fmt.Sprintf("%q", key)
		}
		text, rest = fmt.Sprintf("routing key %q", routingKey), behind
	case spaceID:
		if len(rest) != len(event.ID{}) {
			return fmt.Sprintf("%q", key)
		}
		return "event id " + event.ID(rest).String()
	case spaceMeta:
		return string(rest)
	default:
		return fmt.Sprintf("%q", key)
	}
	switch {
	case len(rest) == 0:
		return text
	case len(rest) != 8:
		return fmt.Sprintf("%q", key)
	case text != "":
		text += " "
	}
	return fmt.Sprintf("%s%s %d", text, numberOf, binary.BigEndian.Uint64(rest))
}

// aggregateOf looks an id up the slow way: only errors ask.
func (d *dictionary) aggregateOf(id uint32) event.Aggregate {
	if d != nil {
		for a, got := range d.aggregates {
			if got == id {
				return a
			}
		}
	}
	return event.Aggregate(fmt.Sprintf("(aggregate %d)", id))
}

func (d *dictionary) typeOf(id uint32) string {
	if d != nil {
		if t, ok := d.name(id); ok {
			return t.String()
		}
	}
	return fmt.Sprintf("(name %d)", id)
}
