package storetest

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Bench measures a driver: appends, reads by every kind of filter, records, leases and
// wake-ups. Each benchmark has a driver of its own from f.Open; the other functions of f
// are not used. Figures of different drivers compare, since the work is the same.
func Bench(b *testing.B, f Factory) {
	b.Run("append", func(b *testing.B) { benchAppend(b, f) })
	b.Run("read", func(b *testing.B) { benchRead(b, f) })
	b.Run("record", func(b *testing.B) { benchRecord(b, f) })
	b.Run("wait", func(b *testing.B) { benchWait(b, f) })
	b.Run("lease", func(b *testing.B) { benchLease(b, f) })
}

// rate reports how many of something an operation of the benchmark did in a second.
func rate(b *testing.B, each int, unit string) {
	b.ReportMetric(float64(b.N)*float64(each)/b.Elapsed().Seconds(), unit+"/s")
}

func benchAppend(b *testing.B, f Factory) {
	for _, events := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			d := f.Open(b)
			names := make([]string, events)
			for i := range names {
				names[i] = "name" + strconv.Itoa(i%20)
			}
			n := 0
			for b.Loop() {
				n++
				if _, err := d.Commit(b.Context(), appends(appending(accounts.Stream(strconv.Itoa(n)), store.NoStream, names...))); err != nil {
					b.Fatal(err)
				}
			}
			rate(b, events, "events")
		})
	}
	for _, writers := range []int{8, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			d := f.Open(b)
			var writer atomic.Int64
			b.SetParallelism(writers)
			b.RunParallel(func(pb *testing.PB) {
				s := accounts.Stream(strconv.FormatInt(writer.Add(1), 10))
				for version := uint64(0); pb.Next(); version++ {
					if _, err := d.Commit(b.Context(), appends(appending(s, store.Exact(version), "opened"))); err != nil {
						b.Error(err)
						return
					}
				}
			})
			rate(b, 1, "events")
		})
	}
}

const benchEvents = 20_000

// benchLog appends a log in which one event in a thousand is rare.
func benchLog(b *testing.B, d store.Driver) {
	b.Helper()
	for i := 0; i < benchEvents; {
		txn := appends()
		for range 500 {
			a := keyed(accounts.Stream(strconv.Itoa(i%100)), "", "name"+strconv.Itoa(i%5))
			if i%1000 == 0 {
				a = keyed(accounts.Stream("rare"), "rare", "rare")
			}
			txn.Appends = append(txn.Appends, a)
			i++
		}
		if _, err := d.Commit(b.Context(), txn); err != nil {
			b.Fatal(err)
		}
	}
}

func benchRead(b *testing.B, f Factory) {
	d := f.Open(b)
	benchLog(b, d)
	for _, c := range []struct {
		name string
		scan store.Scan
	}{
		{"all", store.Scan{}},
		{"backward", store.Scan{Backward: true}},
		{"stream", store.Scan{Match: store.MatchStreams(accounts.Stream("7"))}},
		{"name", store.Scan{Match: store.MatchTypes(accounts.Event("name3"))}},
		{"names", store.Scan{Match: store.MatchTypes(accounts.Event("name1"), accounts.Event("name3"), accounts.Event("rare"))}},
		{"rare name", store.Scan{Match: store.MatchTypes(accounts.Event("rare"))}},
		{"routing key", store.Scan{RoutingKey: new("rare")}},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.scan.Limit, c.scan.Examine = store.DefaultPageSize, store.PortableLimits().Examine
			var got []event.Event
			for b.Loop() {
				var err error
				if got, err = readAll(b.Context(), d, c.scan); err != nil {
					b.Fatal(err)
				}
			}
			rate(b, len(got), "events")
		})
	}
	b.Run("page at the head", func(b *testing.B) {
		scan := store.Scan{From: benchEvents - 99, Limit: 100, Examine: store.PortableLimits().Examine}
		for b.Loop() {
			if _, err := d.Read(b.Context(), scan); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("stream info", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.Stream(b.Context(), accounts.Stream("7")); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchRecord(b *testing.B, f Factory) {
	d := f.Open(b)
	put := func(b *testing.B, noSync bool) {
		var revision uint64
		for b.Loop() {
			revision++
			txn := &store.Txn{Puts: []store.Record{{Key: "s-checkpoint", Value: make([]byte, 100), Revision: revision}}, NoSync: noSync}
			if _, err := d.Commit(b.Context(), txn); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("put", func(b *testing.B) { put(b, false) })
	b.Run("put NoSync", func(b *testing.B) { put(b, true) })
	b.Run("get", func(b *testing.B) {
		if _, err := d.Commit(b.Context(), &store.Txn{Puts: []store.Record{{Key: "s-other", Value: make([]byte, 100), Revision: 1}}}); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := d.Get(b.Context(), "s-other"); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchWait measures an append together with the wake-up of one who waits for it.
func benchWait(b *testing.B, f Factory) {
	d := f.Open(b)
	match := []store.Match{{Aggregate: accounts, Name: "opened"}}
	var after event.Position
	woken := make(chan error, 1)
	for b.Loop() {
		go func() { woken <- d.Wait(b.Context(), after, match) }()
		res, err := d.Commit(b.Context(), appends(appending(accounts.Stream("a"), store.Any, "opened")))
		if err == nil {
			err = <-woken
		}
		if err != nil {
			b.Fatal(err)
		}
		after = res.Position
	}
}

func benchLease(b *testing.B, f Factory) {
	d := f.Open(b)
	l, ok := d.(store.Leaser)
	if !ok {
		b.Skip("the driver has no leases")
	}
	b.Run("claim", func(b *testing.B) {
		claim := store.Claim{Key: "s-claimed", Worker: newWorker(), TTL: long, Force: true}
		for b.Loop() {
			if _, err := l.Claim(b.Context(), claim); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("renew 1000", func(b *testing.B) {
		refs := make([]store.LeaseRef, 1000)
		for i := range refs {
			key := "s" + strconv.Itoa(i)
			term, err := l.Claim(b.Context(), store.Claim{Key: key, Worker: newWorker(), TTL: long, Force: true})
			if err != nil {
				b.Fatal(err)
			}
			refs[i] = store.LeaseRef{Key: key, Term: term, TTL: long}
		}
		for b.Loop() {
			for _, err := range l.Renew(b.Context(), refs) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
		rate(b, len(refs), "renewals")
	})
}
