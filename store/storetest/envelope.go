package storetest

import (
	"bytes"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func envelopeRules() []rule {
	return []rule{
		{"an event comes back as it was appended", 0, eventComesBack},
		{"the driver keeps nothing that it was given", 0, nothingKept},
		{"what a read returns belongs to the caller", 0, nothingShared},
	}
}

func eventComesBack(e *env) {
	d := e.open()
	s := accounts.Stream("ann")
	md := event.NewMetadata(map[string]string{event.RequestedBy: "bob", "empty": "", "é": "\x00\n"})
	bin := make([]byte, 256)
	for i := range bin {
		bin[i] = byte(i)
	}
	given := []event.Event{
		{Name: "opened", SchemaVersion: 1, ContentType: "application/json", Data: []byte(`{}`)},
		{Name: "renamed", SchemaVersion: 7, ContentType: "application/protobuf", Data: bin, Metadata: md},
		{Name: "closed", SchemaVersion: 1 << 20, ContentType: "x", Data: nil, Metadata: md},
		{Name: "opened", SchemaVersion: 1, ContentType: "application/json", Data: bytes.Repeat([]byte("x"), 100_000)},
	}
	for i := range given {
		given[i].ID = event.NewID()
	}
	before := time.Now()
	res := e.commit(d, appends(store.Appending{Stream: s, RoutingKey: "eu", Events: given}))
	got := e.read(d, store.Scan{})
	if len(got) != len(given) {
		e.Fatalf("%d events, want %d", len(got), len(given))
	}
	for i, want := range given {
		want.Stream, want.RoutingKey = s, "eu"
		want.Version, want.Position, want.Time = uint64(i+1), got[i].Position, got[i].Time
		e.need(sameEvent(got[i], want), "read")
		if at := got[i].Time; at.Location() != time.UTC || !at.Equal(at.Truncate(time.Millisecond)) {
			e.Errorf("time %v is not in UTC and whole milliseconds", at)
		}
	}
	if got[0].Position != res.First || got[3].Position != res.Position || !got[3].Time.Equal(res.Time) || res.Version != 4 || res.Replayed {
		e.Errorf("the result is %+v, but the events are at the positions %v at %v", res, positions(got), got[3].Time)
	}
	if off := res.Time.Sub(before); off < -time.Hour || off > time.Hour {
		e.Errorf("the time of commit is %v, and it is %v now", res.Time, before)
	}
}

func nothingKept(e *env) {
	d := e.open()
	wire, err := event.NewMetadata(map[string]string{"key": "value"}).AppendBinary(nil)
	e.need(err, "metadata")
	data, value := []byte("data"), []byte("value")
	txn := appends(appending(accounts.Stream("a"), store.NoStream, "opened"))
	txn.Appends[0].Events[0].Data = data
	txn.Appends[0].Events[0].Metadata = event.RawMetadata(wire)
	e.commit(d, txn)
	e.put(d, store.Record{Key: "nk", Value: value, Revision: 1})
	for _, b := range [][]byte{wire, data, value} {
		clear(b)
	}
	txn.Appends[0].Events[0] = event.Event{}
	ev := e.read(d, store.Scan{})[0]
	if string(ev.Data) != "data" || ev.Metadata.Get("key") != "value" || ev.Name != "opened" {
		e.Errorf("the event changed with the caller's memory: data %q, metadata %q, name %q", ev.Data, ev.Metadata.Get("key"), ev.Name)
	}
	if r := e.get(d, "nk"); string(r.Value) != "value" {
		e.Errorf("the record changed with the caller's memory: %q", r.Value)
	}
}

func nothingShared(e *env) {
	d := e.open()
	txn := appends(appending(accounts.Stream("a"), store.NoStream, "opened", "closed"))
	for i := range txn.Appends[0].Events {
		txn.Appends[0].Events[i].Metadata = event.NewMetadata(map[string]string{"key": "value"})
	}
	e.commit(d, txn)
	e.put(d, store.Record{Key: "nk", Value: []byte("value"), Revision: 1})
	want := e.read(d, store.Scan{})
	for i := range want {
		want[i].Data = bytes.Clone(want[i].Data) // it may be the driver's
	}
	scribble := e.read(d, store.Scan{})
	for i := range scribble {
		// What lies behind the end belongs to the caller too, and to nobody else's event.
		data := scribble[i].Data
		_ = append(data, bytes.Repeat([]byte{0xff}, 64)...)
		clear(data)
		if i == 0 && !bytes.Equal(scribble[1].Data, want[1].Data) {
			e.Error("appending to the data of one event changed the next one of the page")
		}
	}
	for i, ev := range e.read(d, store.Scan{}) {
		e.need(sameEvent(ev, want[i]), "after the caller wrote to what it had read")
	}
	clear(e.get(d, "nk").Value)
	listed, err := d.List(e.Context(), "n", "", 10)
	e.need(err, "list")
	clear(listed[0].Value)
	if r := e.get(d, "nk"); string(r.Value) != "value" {
		e.Errorf("the record changed when the caller wrote to what it had read: %q", r.Value)
	}
}
