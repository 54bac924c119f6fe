package store

import (
	"time"

	"github.com/riffle-go/riffle/event"
)

// termValue is the record of a subscriber's claims; its revision is the term.
type termValue struct {
	worker  event.ID
	process event.ID // of the Store that claimed
	claimed time.Time
	crashes int // how often in a row a process died with work at hand at the same checkpoint
	// checkpoint at the time of the claim, to see whether anything was done since
	checkpoint event.Position
	released   bool // the worker ended in order
	// killed is what was in hand when a process died, as far as the claim could tell; 0 is none
	killed event.Position
}

func (t termValue) encode() []byte {
	b := newValue(64)
	b = appendID(b, 1, t.worker)
	b = appendID(b, 2, t.process)
	b = appendTime(b, 3, t.claimed)
	b = appendNumber(b, 4, t.crashes)
	b = appendNumber(b, 5, t.checkpoint)
	b = appendBool(b, 6, t.released)
	return appendNumber(b, 7, t.killed)
}

// decodeTerm takes an empty value too: a fence makes one.
func decodeTerm(key string, value []byte) (t termValue, err error) {
	if len(value) == 0 {
		return termValue{}, nil
	}
	err = readValue("term", key, value, func(f wireField) error {
		switch f.num {
		case 1:
			return readID(f, (*[16]byte)(&t.worker))
		case 2:
			return readID(f, (*[16]byte)(&t.process))
		case 3:
			return readTime(f, &t.claimed)
		case 4:
			return readNumber(f, &t.crashes)
		case 5:
			return readNumber(f, &t.checkpoint)
		case 6:
			return readBool(f, &t.released)
		case 7:
			return readNumber(f, &t.killed)
		}
		return nil
	})
	return t, err
}

// checkpointValue is the record of a subscriber's commits; its revision is the checkpoint.
type checkpointValue struct {
	head    event.Position // at the commit
	inHand  event.Position
	created time.Time
	updated time.Time
	term    uint64 // of the commit, with
	serial  uint64 // its number in the lease: they tell whether an unknown commit was done
}

func (c checkpointValue) encode() []byte {
	b := newValue(48)
	b = appendNumber(b, 1, c.head)
	b = appendNumber(b, 2, c.inHand)
	b = appendTime(b, 3, c.created)
	b = appendTime(b, 4, c.updated)
	b = appendNumber(b, 5, c.term)
	return appendNumber(b, 6, c.serial)
}

func decodeCheckpoint(key string, value []byte) (c checkpointValue, err error) {
	err = readValue("checkpoint", key, value, func(f wireField) error {
		switch f.num {
		case 1:
			return readNumber(f, &c.head)
		case 2:
			return readNumber(f, &c.inHand)
		case 3:
			return readTime(f, &c.created)
		case 4:
			return readTime(f, &c.updated)
		case 5:
			return readNumber(f, &c.term)
		case 6:
			return readNumber(f, &c.serial)
		}
		return nil
	})
	return c, err
}

func encodeWish(w Wish) []byte {
	b := newValue(64)
	b = appendBytes(b, 1, w.Paused)
	b = appendBytes(b, 2, w.Halted)
	b = appendID(b, 3, w.Drain)
	for _, key := range w.Retry {
		b = appendElement(b, 4, []byte(key))
	}
	return appendTime(b, 5, w.At)
}

func decodeWish(key string, value []byte) (w Wish, err error) {
	err = readValue("wish", key, value, func(f wireField) error {
		switch f.num {
		case 1:
			return readText(f, &w.Paused)
		case 2:
			return readText(f, &w.Halted)
		case 3:
			return readID(f, (*[16]byte)(&w.Drain))
		case 4:
			var k string
			err := readText(f, &k)
			w.Retry = append(w.Retry, k)
			return err
		case 5:
			return readTime(f, &w.At)
		}
		return nil
	})
	return w, err
}

// encodeSnapshot writes a state; its key stands in the record's key.
func encodeSnapshot(s *Snapshot) []byte {
	b := newValue(len(s.State) + len(s.ContentType) + 48)
	b = appendBytes(b, 1, s.State)
	b = appendBytes(b, 2, s.ContentType)
	b = appendNumber(b, 3, s.Revision)
	b = appendNumber(b, 4, s.Version)
	return appendNumber(b, 5, s.Position)
}

// decodeSnapshot shares the memory of the record's value, which is the caller's.
func decodeSnapshot(r Record) (s Snapshot, err error) {
	k, ok := parseStateRecord(r.Key)
	if !ok {
		return Snapshot{}, corruptRecord("state", r.Key, errLength)
	}
	s.Key = k
	err = readValue("state", r.Key, r.Value, func(f wireField) error {
		switch f.num {
		case 1:
			return readBytes(f, &s.State)
		case 2:
			return readText(f, &s.ContentType)
		case 3:
			return readNumber(f, &s.Revision)
		case 4:
			return readNumber(f, &s.Version)
		case 5:
			return readNumber(f, &s.Position)
		}
		return nil
	})
	return s, err
}

// encodeRow writes a row; its key and position stand in the record's key.
func encodeRow(r *Row) []byte {
	b := newValue(len(r.First) + len(r.Last) + 64)
	b = appendNumber(b, 1, r.State)
	b = appendNumber(b, 2, r.Attempts)
	b = appendBytes(b, 3, r.First)
	b = appendBytes(b, 4, r.Last)
	b = appendTime(b, 5, r.Due)
	b = appendTime(b, 6, r.Since)
	b = appendTime(b, 7, r.Updated)
	return appendBool(b, 8, r.Unkeyed)
}

func decodeRow(rec Record) (r Row, err error) {
	_, k, ok := parseRowRecord(rec.Key)
	if !ok {
		return Row{}, corruptRecord("row", rec.Key, errLength)
	}
	r.Key, r.Position = k.Key, k.Position
	err = readValue("row", rec.Key, rec.Value, func(f wireField) error {
		switch f.num {
		case 1:
			return readNumber(f, &r.State)
		case 2:
			return readNumber(f, &r.Attempts)
		case 3:
			return readText(f, &r.First)
		case 4:
			return readText(f, &r.Last)
		case 5:
			return readTime(f, &r.Due)
		case 6:
			return readTime(f, &r.Since)
		case 7:
			return readTime(f, &r.Updated)
		case 8:
			return readBool(f, &r.Unkeyed)
		}
		return nil
	})
	return r, err
}
