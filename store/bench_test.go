package store_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// null is a driver whose commits cost nothing: what is left is the Store's own cost.
type null struct {
	store.Driver
	position atomic.Uint64
}

func (n *null) Commit(_ context.Context, txn *store.Txn) (store.Result, error) {
	p := event.Position(n.position.Add(uint64(len(txn.Appends))))
	return store.Result{First: p, Position: p, Version: 1}, nil
}

// BenchmarkAppendOverhead measures an append of one event without its driver.
func BenchmarkAppendOverhead(b *testing.B) {
	st := open(b, &null{Driver: memdriver.New(memdriver.Options{})})
	var ids atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		stream := accounts.Stream("s" + strconv.FormatInt(ids.Add(1), 10))
		for pb.Next() {
			_, err := st.Append(context.Background(), store.Batch{Stream: stream, Expect: store.Any, Events: []event.Payload{deposited{1}}})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkEncode is the part of it that is the schema's.
func BenchmarkEncode(b *testing.B) {
	schema := event.NewSchema()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := schema.Encode(deposited{1}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkPaginate(b *testing.B) {
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = strconv.Itoa(1_000_000 + i)
	}
	q := store.Query{Limit: 100}
	b.ReportAllocs()
	for b.Loop() {
		page, err := store.Paginate(keys, itself, q)
		if err != nil {
			b.Fatal(err)
		}
		if q.After = page.End; !page.HasNext {
			q.After = ""
		}
	}
}
