package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/event"
)

// maxFaults bounds how many damaged records Verify lists.
const maxFaults = 20

// Verify checks the whole store while it is in use, and returns all damage that it found:
// first what the driver knows of its log and its indexes, then the records: each can be
// decoded, no checkpoint, state or row is beyond the head, and states that say they are
// JSON are. The list is cut off when it is long. Where a block cannot be read the check goes
// on behind it as far as the driver can; of records, the rest of their key space is left out.
// When ctx ends, or the disk fails, its error comes joined to the damage found so far.
//
// progress may be nil; it is called now and then with the events checked and to check, from
// one goroutine. It must not close the Store. ErrUnsupported when the driver is no
// [Maintainer].
func (s *Store) Verify(ctx context.Context, progress func(done, total uint64)) error {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	err := s.maintain(ctx, "verify", func(ctx context.Context, m Maintainer) error {
		return m.Verify(ctx, progress)
	})
	if err != nil && (!errors.Is(err, ErrCorrupt) || ctx.Err() != nil) {
		return err
	}
	return errors.Join(err, s.verifyRecords(ctx))
}

// verifyRecords returns the damage of the runtime's own records.
func (s *Store) verifyRecords(ctx context.Context) error {
	var faults []error
	for i := range len(RecordSpaces) {
		for rec, err := range s.records(ctx, RecordSpaces[i:i+1], "", 0) {
			if errors.Is(err, ErrCorrupt) { // what follows in this space cannot be read
				faults = append(faults, err)
				break
			}
			if err != nil {
				return errors.Join(append(faults, err)...)
			}
			position, err := verifyRecord(rec)
			if err == nil {
				err = s.verifyPosition(ctx, rec.Key, position)
			}
			if err != nil {
				faults = append(faults, err)
			}
			if len(faults) >= maxFaults {
				return errors.Join(faults...)
			}
		}
	}
	return errors.Join(faults...)
}

// verifyPosition asks for the head after the record was read, so that a commit in between
// is no fault.
func (s *Store) verifyPosition(ctx context.Context, key string, position event.Position) error {
	if position == 0 {
		return nil
	}
	head, err := s.head(ctx, s.driver)
	if err != nil {
		return err
	}
	if position > head.Position {
		return corruptRecord("record", key, fmt.Errorf("it is at position %d, beyond the head %d", position, head.Position))
	}
	return nil
}

// verifyRecord decodes a record and returns the highest position that it speaks of.
func verifyRecord(rec Record) (event.Position, error) {
	switch rec.Key[0] {
	case spaceSubscriber:
		return verifySubscriber(rec)
	case spaceProjection:
		_, err := decodeProjection(rec)
		return 0, err
	case spaceRow:
		r, err := decodeRow(rec)
		return r.Position, err
	default:
		sn, err := decodeSnapshot(rec)
		if err == nil && sn.ContentType == event.JSON().ContentType() && !json.Valid(sn.State) {
			err = corruptRecord("state", rec.Key, errors.New("it says that it is JSON, and is not"))
		}
		return sn.Position, err
	}
}

func verifySubscriber(rec Record) (event.Position, error) {
	_, part, ok := parseSubscriberRecord(rec.Key)
	if !ok {
		return 0, corruptRecord("subscriber", rec.Key, errLength)
	}
	switch part {
	case partCheckpoint:
		c, err := decodeCheckpoint(rec.Key, rec.Value)
		return max(event.Position(rec.Revision), c.inHand), err
	case partTerm:
		_, err := decodeTerm(rec.Key, rec.Value)
		return 0, err
	case partWish:
		_, err := decodeWish(rec.Key, rec.Value)
		return 0, err
	default:
		return 0, corruptRecord("subscriber", rec.Key, fmt.Errorf("part %q is unknown", part))
	}
}
