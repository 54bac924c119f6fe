package event_test

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/riffle-go/riffle/event"
)

// A domain names its aggregates once, and each payload says what it is called in the
// store.
const Accounts = event.Aggregate("bank/account")

type Deposited struct{ Cents int64 }

func (Deposited) EventType() event.Type { return Accounts.Event("deposited") }

func Example() {
	ev, err := (*event.Schema)(nil).Encode(Deposited{Cents: 150}) // the store does this
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ev.Type(), ev.ContentType, string(ev.Data))

	d, err := event.Decode[Deposited](ev)
	fmt.Println(d.Cents, err)
	// Output:
	// bank/account.deposited application/json {"Cents":150}
	// 150 <nil>
}

// The ids are made here, so the same value may be appended again when nobody knows
// whether the first append arrived.
func ExampleOf() {
	id, _ := event.ParseID("01JD7Z0000000000000000000A")
	payloads := event.Of(
		Deposited{Cents: 100}, // gets a fresh id
		event.Draft{Payload: Deposited{Cents: 50}, ID: id},
	)
	for _, p := range payloads {
		first, _ := event.NewSchema().Encode(p)
		again, _ := event.NewSchema().Encode(p)
		fmt.Println(first.ID == again.ID, first.ID == id)
	}
	// Output:
	// true false
	// true true
}

func ExampleMetadata() {
	md := event.NewMetadata(map[string]string{event.RequestedBy: "ann"}).With("channel", "web")
	for k, v := range md.All() {
		fmt.Println(k, v)
	}
	fmt.Println(md.Get(event.RequestedBy))
	// Output:
	// channel web
	// requested-by ann
	// ann
}

func ExampleWithMetadata() {
	ctx := event.WithMetadata(context.Background(), event.NewMetadata(map[string]string{event.RequestedBy: "ann"}))
	ctx = event.WithMetadata(ctx, event.NewMetadata(map[string]string{event.CorrelationID: "order-7"}))

	md := event.MetadataFrom(ctx)
	fmt.Println(md.Get(event.RequestedBy), md.Get(event.CorrelationID))
	// Output: ann order-7
}

func ExampleKey() {
	key := event.Key("ann", "2026-01")
	parts, err := event.SplitKey(key)
	fmt.Printf("%q %q %v\n", key, parts, err)
	fmt.Printf("%q\n", event.KeyPrefix("ann")) // the range of all of ann's months
	fmt.Printf("%q\n", event.Key("ann"))       // one component is its own key
	// Output:
	// "ann\x00\x012026-01\x00\x01" ["ann" "2026-01"] <nil>
	// "ann\x00\x01"
	// "ann"
}

// Named gives a message of another package its place in the store.
type Named struct{ *wrapperspb.StringValue }

func (Named) EventType() event.Type { return Accounts.Event("named") }

func ExampleProtobuf() {
	ev, err := event.NewSchema().Encode(Named{wrapperspb.String("savings")})
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := event.Decode[Named](ev)
	fmt.Println(ev.ContentType, n.GetValue(), err)
	// Output: application/protobuf savings <nil>
}

func ExampleEncode() {
	schema := event.NewSchema(event.Encode(event.JSON(), Named{}.EventType())) // readable, if larger
	ev, err := schema.Encode(Named{wrapperspb.String("savings")})
	fmt.Println(ev.ContentType, string(ev.Data), err)
	// Output: application/json {"value":"savings"} <nil>
}
