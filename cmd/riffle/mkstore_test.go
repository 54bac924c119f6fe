package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

const accounts = event.Aggregate("bank/account")

// mkstore is a command of the scripts: it makes stores of known content.
//
//	mkstore bank DIR          six events of fixed ids and times
//	mkstore many DIR N        N events of one type, one stream each
//	mkstore empty DIR         a store without events
//	mkstore runtime DIR       bank, and what a runtime keeps beside
//	mkstore damaged DIR       bank, with an index entry missing and one too many
//	mkstore layout DIR N      bank, as written by layout version N
//	mkstore pebble DIR        a Pebble database that is no store
//	mkstore flushed DIR       bank, with everything in tables
func mkstore() {
	if err := makeStore(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkstore:", err)
		os.Exit(1)
	}
}

func makeStore(kind, dir string, args []string) error {
	ctx := context.Background()
	switch kind {
	case "empty":
		return withStore(dir, func(*store.Store) error { return nil })
	case "bank":
		return withStore(dir, func(st *store.Store) error { return importBank(ctx, st) })
	case "many":
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return withStore(dir, func(st *store.Store) error { return appendMany(ctx, st, n) })
	case "runtime":
		return withStore(dir, func(st *store.Store) error {
			return errors.Join(importBank(ctx, st), subscribe(ctx, st))
		})
	case "damaged":
		return afterBank(ctx, dir, func(db *pebble.DB) error {
			// The event at position 2 loses its entry among the names; the one at position 3 gets it.
			var key []byte
			iter, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("t"), UpperBound: []byte("u")})
			if err != nil {
				return err
			}
			for ok := iter.First(); ok; ok = iter.Next() {
				if k := iter.Key(); binary.BigEndian.Uint64(k[len(k)-8:]) == 2 {
					key = append(key, k...)
				}
			}
			wrong := binary.BigEndian.AppendUint64(append([]byte{}, key[:len(key)-8]...), 3)
			return errors.Join(iter.Close(), db.Delete(key, pebble.Sync), db.Set(wrong, nil, pebble.Sync))
		})
	case "layout":
		version, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil {
			return err
		}
		return afterBank(ctx, dir, func(db *pebble.DB) error {
			return db.Set([]byte("mlayout"), binary.BigEndian.AppendUint64(nil, version), pebble.Sync)
		})
	case "flushed":
		return afterBank(ctx, dir, func(db *pebble.DB) error { return db.Flush() })
	case "pebble":
		return withPebble(dir, func(db *pebble.DB) error { return db.Set([]byte("k"), []byte("v"), pebble.Sync) })
	}
	return fmt.Errorf("unknown kind %q", kind)
}

func withStore(dir string, f func(*store.Store) error) error {
	st, err := pebblestore.Open(dir, &pebblestore.Options{FreeSpace: pebblestore.NoFreeSpaceCheck})
	if err != nil {
		return err
	}
	return errors.Join(f(st), st.Close())
}

func withPebble(dir string, f func(*pebble.DB) error) error {
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatValueSeparation, Logger: silent{}})
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}

func afterBank(ctx context.Context, dir string, f func(*pebble.DB) error) error {
	if err := withStore(dir, func(st *store.Store) error { return importBank(ctx, st) }); err != nil {
		return err
	}
	return withPebble(dir, f)
}

// importBank writes events of two aggregates, one per minute: with hostile text, another
// content type, routing keys and metadata.
func importBank(ctx context.Context, st *store.Store) error {
	start := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
	events := []event.Event{
		{Stream: accounts.Stream("ann"), Version: 1, Name: "opened", RoutingKey: "eu", Data: []byte(`{"owner":"Ann Example","limits":{"day":500}}`)},
		{Stream: accounts.Stream("bob"), Version: 1, Name: "opened", Data: []byte(`{"owner":"Bob Example","tags":["a","b",1]}`)},
		{Stream: accounts.Stream("ann"), Version: 2, Name: "deposited", RoutingKey: "eu", Data: []byte(`{"cents":4711}`),
			Metadata: event.NewMetadata(map[string]string{event.RequestedBy: "clerk-7"})},
		{Stream: event.Aggregate("bank/transfer").Stream("t1"), Version: 1, Name: "started", ContentType: "application/protobuf", Data: []byte{1, 2, 3}},
		{Stream: accounts.Stream("a\x00b\x1b[31m"), Version: 1, Name: "opened", RoutingKey: "x\ty", Data: []byte("{\"owner\":\"\u202eevil\"}")},
		{Stream: accounts.Stream("ann"), Version: 3, Name: "deposited", RoutingKey: "eu", Data: []byte(`{"cents":1}`)},
	}
	for i := range events {
		events[i].ID = event.ID{1, 0, 0, 0, 0, 0, 15: byte(i + 1)}
		events[i].Time = start.Add(time.Duration(i) * time.Minute)
	}
	_, err := st.Import(ctx, events...)
	return err
}

type opened struct{ Owner string }

func (opened) EventType() event.Type { return accounts.Event("opened") }

func appendMany(ctx context.Context, st *store.Store, n int) error {
	for done := 0; done < n; {
		var batches []store.Batch
		for range min(500, n-done) {
			batches = append(batches, store.Batch{
				Stream: accounts.Stream(fmt.Sprintf("acc-%06d", done)),
				Events: event.Of(opened{Owner: "somebody"}),
			})
			done++
		}
		if _, err := st.Append(ctx, batches...); err != nil {
			return err
		}
	}
	return nil
}

// subscribe writes what a runtime would: a model with a retired generation, a paused and
// a halted effect, and events set aside.
func subscribe(ctx context.Context, st *store.Store) error {
	row := store.ProjectionRow{
		Name: "balances", Kind: "model", Active: 1, Next: 2,
		Generations: []store.Generation{{Number: 0, Revision: 1, State: store.Retired}, {Number: 1, Revision: 2, State: store.Active}},
	}
	if _, err := st.SaveProjection(ctx, row); err != nil {
		return err
	}
	if _, err := st.SaveProjection(ctx, store.ProjectionRow{Name: "mailer", Kind: "effect", Next: 1}); err != nil {
		return err
	}
	since := time.Date(2026, 1, 31, 9, 0, 0, 0, time.UTC)
	for _, s := range []struct {
		key    store.SubscriberKey
		commit store.Commit
	}{
		{store.SubscriberKey{Projection: "balances"}, store.Commit{To: 3}},
		{store.SubscriberKey{Projection: "balances", Generation: 1}, store.Commit{To: 6}},
		{store.SubscriberKey{Projection: "mailer"}, store.Commit{To: 6, Rows: []store.Row{
			{Key: "ann", Position: 3, State: store.Parked, Attempts: 10, First: "550 no such user", Last: "550 still\nno such user \x1b[2J", Since: since},
			{Key: "ann", Position: 6, State: store.Parked, Since: since},
			{Key: "bob", Position: 2, State: store.Waiting, Attempts: 3, First: "timeout", Last: "timeout", Since: since, Due: since.Add(time.Hour)},
			{Key: "a\x00b", Position: 5, State: store.Skipped, Attempts: 10, Last: "never", Since: since},
		}}},
		{store.SubscriberKey{Projection: "orphan"}, store.Commit{To: 2}},
	} {
		u := st.Subscriber(s.key)
		lease, err := u.Claim(ctx, event.NewID(), time.Minute)
		if err != nil {
			return err
		}
		_, err = lease.Commit(ctx, s.commit)
		if err := errors.Join(err, lease.Release(ctx)); err != nil {
			return err
		}
	}
	return errors.Join(
		st.Subscriber(store.SubscriberKey{Projection: "mailer"}).SetPaused(ctx, "mail server moves"),
		st.Subscriber(store.SubscriberKey{Projection: "orphan"}).SetWish(ctx, func(w *store.Wish) error {
			w.Halted = "unhandled event"
			return nil
		}),
	)
}
