package main

import (
	"fmt"

	"github.com/riffle-go/riffle/event"
)

const (
	aggregates        = 13
	namesPerAggregate = 8
)

// body is the content of every payload: about 200 bytes of JSON.
type body struct {
	Account   string `json:"account"`
	Cents     int64  `json:"cents"`
	Currency  string `json:"currency"`
	Reference string `json:"reference"`
	Note      string `json:"note"`
	Approved  bool   `json:"approved"`
}

// payload is one Go type per event type, as a program has them. A names the aggregate, N
// the event.
type payload[A, N number] struct{ body }

func (payload[A, N]) EventType() event.Type {
	var a A
	var n N
	return eventType(a.number(), n.number())
}

func aggregateName(a int) event.Aggregate {
	return event.Aggregate(fmt.Sprintf("bench/aggregate-%02d", a))
}

// eventTypes is fixed at start, because EventType is called for every event.
var eventTypes = func() (types [aggregates][namesPerAggregate]event.Type) {
	for a := range types {
		for n := range types[a] {
			types[a][n] = aggregateName(a).Event(fmt.Sprintf("something-happened-%d", n))
		}
	}
	return types
}()

func eventType(a, n int) event.Type { return eventTypes[a][n] }

// number lets types stand for numbers.
type number interface{ number() int }

type (
	n0  struct{}
	n1  struct{}
	n2  struct{}
	n3  struct{}
	n4  struct{}
	n5  struct{}
	n6  struct{}
	n7  struct{}
	n8  struct{}
	n9  struct{}
	n10 struct{}
	n11 struct{}
	n12 struct{}
)

func (n0) number() int  { return 0 }
func (n1) number() int  { return 1 }
func (n2) number() int  { return 2 }
func (n3) number() int  { return 3 }
func (n4) number() int  { return 4 }
func (n5) number() int  { return 5 }
func (n6) number() int  { return 6 }
func (n7) number() int  { return 7 }
func (n8) number() int  { return 8 }
func (n9) number() int  { return 9 }
func (n10) number() int { return 10 }
func (n11) number() int { return 11 }
func (n12) number() int { return 12 }

// constructors make the payload of each event type.
var constructors = [aggregates][namesPerAggregate]func(body) event.Payload{
	constructorsOf[n0](), constructorsOf[n1](), constructorsOf[n2](), constructorsOf[n3](),
	constructorsOf[n4](), constructorsOf[n5](), constructorsOf[n6](), constructorsOf[n7](),
	constructorsOf[n8](), constructorsOf[n9](), constructorsOf[n10](), constructorsOf[n11](),
	constructorsOf[n12](),
}

func constructorsOf[A number]() [namesPerAggregate]func(body) event.Payload {
	return [namesPerAggregate]func(body) event.Payload{
		construct[A, n0], construct[A, n1], construct[A, n2], construct[A, n3],
		construct[A, n4], construct[A, n5], construct[A, n6], construct[A, n7],
	}
}

func construct[A, N number](b body) event.Payload { return payload[A, N]{b} }
