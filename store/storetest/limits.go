package storetest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func limitRules() []rule {
	return []rule{
		{"an append carries as many events as are portable", 0, manyEvents},
		{"an append carries as many bytes as are portable", 0, manyBytes},
		{"a commit carries as many records as are portable", 0, manyRecords},
		{"a state and a key are as long as is portable", 0, longRecords},
		{"a driver's own limits are not below the portable ones", 0, ownLimits},
	}
}

func manyEvents(e *env) {
	d := e.open()
	limits := store.PortableLimits()
	names := make([]string, limits.AppendEvents)
	for i := range names {
		names[i] = fmt.Sprintf("name%d", i%50)
	}
	txn := appends(appending(accounts.Stream("a"), store.NoStream, names[:limits.AppendEvents/2]...))
	for i, name := range names[limits.AppendEvents/2:] {
		txn.Appends = append(txn.Appends, appending(orders.Stream(fmt.Sprint(i)), store.NoStream, name))
	}
	e.commit(d, txn)
	if log := e.verify(d); len(log) != limits.AppendEvents {
		e.Errorf("%d events, want %d", len(log), limits.AppendEvents)
	}
}

func manyBytes(e *env) {
	d := e.open()
	limits := store.PortableLimits()
	n := limits.AppendBytes / limits.EventBytes
	txn := appends(appending(accounts.Stream("a"), store.NoStream, strings.Split(strings.Repeat("large ", n-1)+"large", " ")...))
	for i := range txn.Appends[0].Events {
		ev := &txn.Appends[0].Events[i]
		ev.Metadata = event.NewMetadata(map[string]string{"key": strings.Repeat("m", 1000)})
		ev.Data = bytes.Repeat([]byte{byte(i)}, limits.EventBytes-2000)
	}
	e.commit(d, txn)
	log := e.verify(d)
	if len(log) != n {
		e.Fatalf("%d events, want %d", len(log), n)
	}
	for i, ev := range log {
		if !bytes.Equal(ev.Data, txn.Appends[0].Events[i].Data) {
			e.Errorf("event %d came back with other data", i)
		}
	}
}

func manyRecords(e *env) {
	d := e.open()
	limits := store.PortableLimits()
	var txn store.Txn
	for i := range limits.CommitItems {
		txn.Puts = append(txn.Puts, store.Record{
			Key: fmt.Sprintf("n%06d", i), Value: bytes.Repeat([]byte("v"), limits.CommitBytes/limits.CommitItems-100), Revision: 1,
		})
	}
	e.commit(d, &txn)
	got, err := d.List(e.Context(), "n", "", limits.CommitItems+1)
	e.need(err, "list")
	if len(got) != limits.CommitItems {
		e.Errorf("%d records, want %d", len(got), limits.CommitItems)
	}
	var deletes store.Txn
	for _, r := range txn.Puts {
		deletes.Deletes = append(deletes.Deletes, r.Key)
	}
	e.commit(d, &deletes)
	e.listed(d, nil)
}

func longRecords(e *env) {
	d := e.open()
	limits := store.PortableLimits()
	r := store.Record{Key: strings.Repeat("n", limits.KeyBytes), Value: bytes.Repeat([]byte("v"), limits.StateBytes), Revision: 1}
	e.put(d, r)
	if got := e.get(d, r.Key); got.Key != r.Key || !bytes.Equal(got.Value, r.Value) {
		e.Errorf("a record with a key of %d bytes and a value of %d came back as %d and %d", len(r.Key), len(r.Value), len(got.Key), len(got.Value))
	}
}

func ownLimits(e *env) {
	l, ok := e.open().(store.Limiter)
	if !ok {
		return // then its limits are the portable ones
	}
	own, portable := l.Limits(), store.PortableLimits()
	for name, pair := range map[string][2]int{
		"EventBytes":   {own.EventBytes, portable.EventBytes},
		"AppendEvents": {own.AppendEvents, portable.AppendEvents},
		"AppendBytes":  {own.AppendBytes, portable.AppendBytes},
		"StateBytes":   {own.StateBytes, portable.StateBytes},
		"CommitItems":  {own.CommitItems, portable.CommitItems},
		"CommitBytes":  {own.CommitBytes, portable.CommitBytes},
		"KeyBytes":     {own.KeyBytes, portable.KeyBytes},
		"Examine":      {own.Examine, portable.Examine},
	} {
		if pair[0] < pair[1] {
			e.Errorf("%s is %d, below the portable %d", name, pair[0], pair[1])
		}
	}
}
