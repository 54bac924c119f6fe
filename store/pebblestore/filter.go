package pebblestore

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// nameSet holds ids of event names; nil is all of them.
type nameSet map[uint32]struct{}

func (s nameSet) has(id uint32) bool {
	if s == nil {
		return true
	}
	_, ok := s[id]
	return ok
}

// filter is the Match of a scan in the terms of the dictionary. It may have any number of
// streams, so that nothing here goes through all of them for an event.
type filter struct {
	names   nameSet                  // events of any stream; never nil
	streams map[event.Stream]nameSet // events of these streams
	suspect nameSet                  // the names that those events may have, to leave out the others unparsed
	dict    *dictionary
}

// newFilter leaves out what the dictionary does not know: it has no events below the head
// that was loaded before it.
func newFilter(match []store.Match, dict *dictionary) *filter {
	f := &filter{names: nameSet{}, streams: map[event.Stream]nameSet{}, suspect: nameSet{}, dict: dict}
	whole := map[event.Aggregate]bool{} // all of its names are suspect
	for _, m := range match {
		id, known := dict.names[event.Type{Aggregate: m.Aggregate, Name: m.Name}]
		switch all := dict.aggregateNames(m.Aggregate); {
		case len(all) == 0, m.Name != "" && !known:
		case m.ID == "" && m.Name == "":
			for _, id := range all {
				f.names[id] = struct{}{}
			}
		case m.ID == "":
			f.names[id] = struct{}{}
		case m.Name == "":
			f.streams[event.Stream{Aggregate: m.Aggregate, ID: m.ID}] = nil
			if !whole[m.Aggregate] {
				whole[m.Aggregate] = true
				for _, id := range all {
					f.suspect[id] = struct{}{}
				}
			}
		default:
			f.addStreamName(event.Stream{Aggregate: m.Aggregate, ID: m.ID}, id)
		}
	}
	return f
}

func (f *filter) addStreamName(s event.Stream, id uint32) {
	names, ok := f.streams[s]
	if ok && names == nil {
		return // all of them
	}
	if !ok {
		names = nameSet{}
		f.streams[s] = names
	}
	names[id] = struct{}{}
	f.suspect[id] = struct{}{}
}

// selects tests an event, whose header is known to be good: first its name, and the
// stream's id only when the name leaves it open.
func (f *filter) selects(pos uint64, envelope []byte) (bool, error) {
	name := envelopeName(envelope)
	if _, ok := f.names[name]; ok {
		return true, nil
	}
	if _, ok := f.suspect[name]; !ok {
		return false, nil
	}
	id, err := envelopeField(envelope, pos, fieldStreamID)
	if err != nil {
		return false, err
	}
	t, _ := f.dict.name(name) // suspect names are in it
	names, ok := f.streams[event.Stream{Aggregate: t.Aggregate, ID: viewString(id)}]
	return ok && names.has(name), nil
}

// envelopeField finds one field of bytes without decoding the event. The bytes are those of
// the envelope; there are none when it has no such field.
func envelopeField(envelope []byte, pos uint64, want protowire.Number) ([]byte, error) {
	for f := envelope[headerSize:]; len(f) > 0; {
		num, typ, n := protowire.ConsumeTag(f)
		if n < 0 {
			return nil, envelopeError(pos, protowire.ParseError(n))
		}
		if num == want && typ == protowire.BytesType {
			v, m := protowire.ConsumeBytes(f[n:])
			if m < 0 {
				return nil, envelopeError(pos, protowire.ParseError(m))
			}
			return v, nil
		}
		m := protowire.ConsumeFieldValue(num, typ, f[n:])
		if m < 0 {
			return nil, envelopeError(pos, protowire.ParseError(m))
		}
		f = f[n+m:]
	}
	return nil, nil
}
