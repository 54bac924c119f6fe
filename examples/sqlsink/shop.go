package main

import "github.com/riffle-go/riffle/event"

// Orders are the streams of the shop: one for each order.
const Orders = event.Aggregate("shop/order")

type (
	// Placed begins an order.
	Placed struct {
		Customer string
		Cents    int64
	}
	// Paid ends it well.
	Paid struct{}
	// Cancelled ends it otherwise.
	Cancelled struct{ Reason string }
)

// EventType names the event in the store.
func (Placed) EventType() event.Type { return Orders.Event("placed") }

// EventType names the event in the store.
func (Paid) EventType() event.Type { return Orders.Event("paid") }

// EventType names the event in the store.
func (Cancelled) EventType() event.Type { return Orders.Event("cancelled") }
