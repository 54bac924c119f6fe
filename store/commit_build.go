package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
)

// commitBuilder checks a Commit and makes a Txn of it.
type commitBuilder struct {
	lease  *Lease
	commit *Commit
	head   Head
	serial uint64 // of the commit in the lease
	work   *work
	bytes  int // of states and rows
}

func (b *commitBuilder) build(ctx context.Context, traceparent string) error {
	c, s := b.commit, b.lease.subscriber.store
	if err := b.check(); err != nil {
		return err
	}
	b.work = &work{}
	if len(c.Emit) > 0 {
		events := 0
		for i := range c.Emit {
			events += len(c.Emit[i].Events)
		}
		enc := encoder{core: s.core, ctx: ctx, traceparent: traceparent, path: "Commit.Emit", repeats: true}
		w, err := enc.encode(c.Emit, events)
		if err != nil {
			return err
		}
		b.work = w
	}
	b.addCheckpoint()
	if err := b.addStates(); err != nil {
		return err
	}
	if err := b.addRows(); err != nil {
		return err
	}
	if err := b.checkOnce(); err != nil {
		return err
	}
	if err := checkLimit("Commit", b.bytes, s.limits.CommitBytes, "bytes of states and rows", "CommitBytes"); err != nil {
		return err
	}
	if c.Activate != nil {
		if err := b.addActivation(c.Activate); err != nil {
			return within("Commit.Activate", err)
		}
	}
	b.work.txn.NoSync = b.mayWait()
	return nil
}

func (b *commitBuilder) check() error {
	c := b.commit
	if c.To < c.From {
		return &InvalidError{Field: "Commit.To", Reason: fmt.Sprintf("is %d, below From %d; a commit goes forward", c.To, c.From)}
	}
	if c.To > b.head.Position {
		return &InvalidError{Field: "Commit.To", Reason: fmt.Sprintf("is %d, beyond the head %d", c.To, b.head.Position)}
	}
	items := len(c.Save) + len(c.Remove) + len(c.Rows) + len(c.RowsDone)
	return checkLimit("Commit", items, b.lease.subscriber.store.limits.CommitItems, "states, rows and keys", "CommitItems")
}

// mayWait says whether the commit may become durable a little later: only when repeating
// the work after a crash changes nothing outside.
func (b *commitBuilder) mayWait() bool {
	c := b.commit
	if !c.Lazy || len(c.Emit) > 0 || c.Activate != nil || c.InHand != 0 {
		return false
	}
	for i := range c.Rows {
		if c.Rows[i].State != Waiting {
			return false
		}
	}
	return true
}

func (b *commitBuilder) addCheckpoint() {
	l, txn := b.lease, &b.work.txn
	value := checkpointValue{
		head: b.head.Position, inHand: b.commit.InHand, updated: now(), term: l.term, serial: b.serial,
	}
	l.created.CompareAndSwap(0, value.updated.UnixMilli())
	value.created = time.UnixMilli(l.created.Load())
	txn.Guards = append(txn.Guards,
		Guard{l.subscriber.term, l.term},
		Guard{l.subscriber.checkpoint, uint64(b.commit.From)})
	txn.Puts = append(txn.Puts, Record{
		Key: l.subscriber.checkpoint, Value: value.encode(), Revision: uint64(b.commit.To),
	})
}

// checkOnce refuses a key that comes twice: which of the two is meant, only the caller knows.
func (b *commitBuilder) checkOnce() error {
	txn := &b.work.txn
	keys := make([]string, 0, len(txn.Puts)+len(txn.Deletes))
	for i := range txn.Puts {
		keys = append(keys, txn.Puts[i].Key)
	}
	keys = append(keys, txn.Deletes...)
	if i, _, ok := sameTwice(keys, func(k *string) string { return *k }); ok {
		return &InvalidError{Field: "Commit", Reason: fmt.Sprintf("says twice what becomes of the state or row %q; give each key once", keys[i])}
	}
	return nil
}

func (b *commitBuilder) addStates() error {
	s, own := b.lease.subscriber.store, b.lease.Key()
	txn := &b.work.txn
	for i := range b.commit.Save {
		sn := b.commit.Save[i]
		switch {
		case sn.Key.Projection == "":
			sn.Key.Projection, sn.Key.Generation = own.Projection, own.Generation
		case sn.Key.Projection != own.Projection || sn.Key.Generation != own.Generation:
			return &InvalidError{
				Field:  fmt.Sprintf("Commit.Save[%d].Key", i),
				Reason: fmt.Sprintf("is of %s generation %d, the lease is of %s", sn.Key.Projection, sn.Key.Generation, own),
			}
		}
		if sn.Position > b.commit.To {
			return &InvalidError{
				Field:  fmt.Sprintf("Commit.Save[%d].Position", i),
				Reason: fmt.Sprintf("is %d, beyond the commit's To %d", sn.Position, b.commit.To),
			}
		}
		rec, err := s.snapshotRecord(spaceState, &sn)
		if err != nil {
			return within(fmt.Sprintf("Commit.Save[%d]", i), err)
		}
		b.bytes += len(rec.Value)
		txn.Puts = append(txn.Puts, rec)
	}
	for i, key := range b.commit.Remove {
		if err := checkKeyText(fmt.Sprintf("Commit.Remove[%d]", i), key); err != nil {
			return err
		}
		txn.Deletes = append(txn.Deletes, stateRecord(spaceState, SnapshotKey{
			Projection: own.Projection, Generation: own.Generation, Key: key,
		}))
	}
	return nil
}

func (b *commitBuilder) addRows() error {
	own := b.lease.Key()
	txn := &b.work.txn
	for i := range b.commit.Rows {
		rec, err := b.row(own, &b.commit.Rows[i])
		if err != nil {
			return within(fmt.Sprintf("Commit.Rows[%d]", i), err)
		}
		b.bytes += len(rec.Value)
		txn.Puts = append(txn.Puts, rec)
	}
	for i, k := range b.commit.RowsDone {
		if err := checkKeyText(fmt.Sprintf("Commit.RowsDone[%d].Key", i), k.Key); err != nil {
			return err
		}
		txn.Deletes = append(txn.Deletes, rowRecord(own, k))
	}
	return nil
}

// row checks and encodes a row. One above the checkpoint would be of an event that is
// handled again.
func (b *commitBuilder) row(own SubscriberKey, r *Row) (Record, error) {
	if err := checkKeyText("Key", r.Key); err != nil {
		return Record{}, err
	}
	switch {
	case r.Position == 0 || r.Position > b.commit.To:
		return Record{}, &InvalidError{Field: "Position", Reason: fmt.Sprintf("is %d, outside of 1 to the commit's To %d", r.Position, b.commit.To)}
	case r.State < Waiting || r.State > Skipped:
		return Record{}, &InvalidError{Field: "State", Reason: "is none of Waiting, Parked and Skipped"}
	case r.Attempts < 0:
		return Record{}, &InvalidError{Field: "Attempts", Reason: "is negative"}
	}
	rec := Record{Key: rowRecord(own, RowKey{r.Key, r.Position}), Value: encodeRow(r), Revision: uint64(r.Position)}
	return rec, b.lease.subscriber.store.checkKey("Key", rec.Key)
}

// addActivation makes the lease's generation the active one.
func (b *commitBuilder) addActivation(a *Activation) error {
	own, txn := b.lease.Key(), &b.work.txn
	switch {
	case a.Row.Name != own.Projection || a.Row.Active != own.Generation:
		return &InvalidError{Field: "Row", Reason: fmt.Sprintf("activates generation %d of %q, the lease is of %s", a.Row.Active, a.Row.Name, own)}
	case a.Old.Projection != own.Projection || a.Old.Generation == own.Generation:
		return &InvalidError{Field: "Old", Reason: fmt.Sprintf("is %s; it must be another generation of %q", a.Old, own.Projection)}
	}
	put, err := b.lease.subscriber.store.projectionRecord(&a.Row)
	if err != nil {
		return err
	}
	txn.Guards = append(txn.Guards,
		Guard{put.Key, a.Row.Revision},
		Guard{subscriberRecord(a.Old, partCheckpoint), uint64(a.OldCheckpoint)})
	txn.Puts = append(txn.Puts, put)
	txn.Fence = append(txn.Fence, subscriberRecord(a.Old, partTerm))
	return nil
}

// reused names the emitted event whose id is stored already. Such a commit is no repetition:
// the first one would have moved the checkpoint or left its number there.
func (b *commitBuilder) reused(dup *DuplicateError) error {
	i := slices.IndexFunc(dup.Positions, func(p event.Position) bool { return p != 0 })
	if i < 0 {
		return dup
	}
	reused := &IDReusedError{Position: dup.Positions[i]}
	for _, a := range b.work.txn.Appends {
		if !a.Once {
			continue
		}
		if i < len(a.Events) {
			reused.ID = a.Events[i].ID
			break
		}
		i -= len(a.Events)
	}
	return reused
}
