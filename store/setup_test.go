package store_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"go.uber.org/goleak"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	accounts = event.Aggregate("bank/account")
	orders   = event.Aggregate("shop/order")
)

type opened struct{ Owner string }

func (opened) EventType() event.Type { return accounts.Event("opened") }

type deposited struct{ Cents int64 }

func (deposited) EventType() event.Type { return accounts.Event("deposited") }

type placed struct{ Item string }

func (placed) EventType() event.Type { return orders.Event("placed") }

// unencodable is a payload that JSON refuses.
type unencodable struct{ C chan int }

func (unencodable) EventType() event.Type { return accounts.Event("unencodable") }

// setup returns a store on a driver that the test may spoil.
func setup(tb testing.TB, o memdriver.Options, opts ...func(*store.Options)) (*store.Store, *memdriver.Driver) {
	tb.Helper()
	d := memdriver.New(o)
	return open(tb, d, opts...), d
}

// open returns a store on a driver; both are closed with the test.
func open(tb testing.TB, d store.Driver, opts ...func(*store.Options)) *store.Store {
	tb.Helper()
	var o store.Options
	for _, f := range opts {
		f(&o)
	}
	st, err := store.New(d, &o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := st.Close(); err != nil {
			tb.Error(err)
		}
	})
	return st
}

// deposit appends n events to an account, each in an append of its own.
func deposit(tb testing.TB, st *store.Store, id string, n int) store.Result {
	tb.Helper()
	var res store.Result
	for i := range n {
		var err error
		res, err = st.Append(tb.Context(), store.Batch{
			Stream: accounts.Stream(id), Expect: store.Any, Events: event.Of(deposited{int64(i)}),
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return res
}

// positions returns where events are.
func positions(events []event.Event) []event.Position {
	out := make([]event.Position, 0, len(events))
	for _, e := range events {
		out = append(out, e.Position)
	}
	return out
}

// collect ends the test at the first error of a sequence.
func collect[T any](tb testing.TB, seq iter.Seq2[T, error]) []T {
	tb.Helper()
	var out []T
	for v, err := range seq {
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// failure returns the error that a sequence ends with.
func failure[T any](seq iter.Seq2[T, error]) (err error) {
	for _, err = range seq {
	}
	return err
}

func wantError(tb testing.TB, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Fatalf("got error %v, want %v", err, want)
	}
}

// wantInvalid checks that the error names a field.
func wantInvalid(tb testing.TB, err error, field string) {
	tb.Helper()
	invalid, ok := errors.AsType[*store.InvalidError](err)
	if !ok || !errors.Is(err, store.ErrInvalid) {
		tb.Fatalf("got error %v, want an InvalidError of %s", err, field)
	}
	if invalid.Field != field {
		tb.Fatalf("InvalidError names %q, want %q (%v)", invalid.Field, field, err)
	}
}

func wantEqual[T comparable](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Fatalf("%s is %v, want %v", what, got, want)
	}
}

func wantList[T any](tb testing.TB, what string, got, want []T) {
	tb.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		tb.Fatalf("%s:\n got %v\nwant %v", what, got, want)
	}
}
