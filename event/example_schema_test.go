package event_test

import (
	"bytes"
	"fmt"
	"math"

	"github.com/riffle-go/riffle/event"
)

// Paid is what the code of today works with. Stored events may be older.
type (
	PaidV1 struct{ Amount float64 } // money as a float
	PaidV2 struct{ Cents int64 }
	Paid   struct {
		Cents    int64
		Currency string
	}
)

func (PaidV1) EventType() event.Type { return Accounts.Event("paid") }
func (PaidV2) EventType() event.Type { return Accounts.Event("paid") }
func (PaidV2) SchemaVersion() int    { return 2 }
func (Paid) EventType() event.Type   { return Accounts.Event("paid") }
func (Paid) SchemaVersion() int      { return 3 }

func ExampleUpcast() {
	schema := event.NewSchema(
		event.Upcast(func(o PaidV1) (PaidV2, error) { return PaidV2{int64(math.Round(o.Amount * 100))}, nil }),
		event.Upcast(func(o PaidV2) (Paid, error) { return Paid{o.Cents, "EUR"}, nil }),
	)
	for _, stored := range []event.Payload{PaidV1{1.5}, PaidV2{200}, Paid{300, "USD"}} {
		ev, _ := schema.Encode(stored)
		p, err := event.Decode[Paid](ev)
		fmt.Println(ev.SchemaVersion, p, err)
	}
	// Output:
	// 1 {150 EUR} <nil>
	// 2 {200 EUR} <nil>
	// 3 {300 USD} <nil>
}

// A raw upcaster changes bytes that no Go type of today can read.
func ExampleUpcastRaw() {
	schema := event.NewSchema(event.UpcastRaw(PaidV2{}.EventType(), 1, func(data []byte) ([]byte, error) {
		return bytes.Replace(data, []byte(`"cts"`), []byte(`"Cents"`), 1), nil
	}))
	ev := event.Event{Stream: Accounts.Stream("ann"), Name: "paid", SchemaVersion: 1, Data: []byte(`{"cts":200}`)}
	schema.Bind(&ev)
	p, err := event.Decode[PaidV2](ev)
	fmt.Println(p, err)
	// Output: {200} <nil>
}

// Blocked was renamed to Closed.
type (
	Blocked struct{ Why string }
	Closed  struct{ Why string }
)

func (Blocked) EventType() event.Type { return Accounts.Event("blocked") }
func (Closed) EventType() event.Type  { return Accounts.Event("closed") }

func ExampleAlias() {
	schema := event.NewSchema(event.Alias(Blocked{}.EventType(), Closed{}.EventType()))
	ev, _ := schema.Encode(Blocked{Why: "fraud"})
	c, err := event.Decode[Closed](ev)
	fmt.Println(ev.Name, ev.Type(), c.Why, err)
	fmt.Println(schema.Sources(Closed{}.EventType())) // what a query for it looks for
	// Output:
	// blocked bank/account.closed fraud <nil>
	// [bank/account.closed bank/account.blocked]
}
