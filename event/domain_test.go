package event_test

import (
	"errors"
	"math"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/riffle-go/riffle/event"
)

// The domain that the tests of this package share: a library with books.
const books = event.Aggregate("library/book")

type (
	// lent changed twice: a duration in days, then hours, then hours with a branch.
	lentV1 struct{ Days float64 }
	lentV2 struct{ Hours int64 }
	lent   struct {
		Hours  int64
		Branch string
	}
	returned struct{ By string }
	handedIn struct{ By string } // what returned was called before
	dropped  struct{ By string } // what handedIn was called before

	// lentRecord has the name of lent, in another aggregate.
	lentRecord struct{ Hours int64 }

	// titled wraps a message of somebody else's package.
	titled struct{ *wrapperspb.StringValue }
)

var (
	typeLent     = books.Event("lent")
	typeReturned = books.Event("returned")
	typeHandedIn = books.Event("handed in")
	typeDropped  = books.Event("dropped")
	typeTitled   = books.Event("titled")
)

func (lentV1) EventType() event.Type { return typeLent }
func (lentV2) EventType() event.Type { return typeLent }
func (lentV2) SchemaVersion() int    { return 2 }
func (lent) EventType() event.Type   { return typeLent }
func (lent) SchemaVersion() int      { return 3 }
func (lentRecord) EventType() event.Type {
	return event.Aggregate("library/record").Event("lent")
}
func (lentRecord) SchemaVersion() int  { return 3 }
func (returned) EventType() event.Type { return typeReturned }
func (handedIn) EventType() event.Type { return typeHandedIn }
func (dropped) EventType() event.Type  { return typeDropped }
func (titled) EventType() event.Type   { return typeTitled }

// catalogued is a payload whose own pointer is the message.
type catalogued struct{ structpb.Struct }

func (*catalogued) EventType() event.Type { return books.Event("catalogued") }

func lentToHours(o lentV1) (lentV2, error) {
	if math.IsInf(o.Days, 0) || o.Days < 0 {
		return lentV2{}, errors.New("lent for no real time")
	}
	return lentV2{Hours: int64(o.Days * 24)}, nil
}

func lentToBranch(o lentV2) (lent, error) { return lent{Hours: o.Hours, Branch: "main"}, nil }

// encode fails the test if p cannot be encoded.
func encode(t testing.TB, s *event.Schema, p event.Payload) event.Event {
	t.Helper()
	ev, err := s.Encode(p)
	if err != nil {
		t.Fatalf("Encode(%T): %v", p, err)
	}
	return ev
}

// wantDecodeError fails the test unless err is a *DecodeError that mentions text.
func wantDecodeError(t testing.TB, err error, text string) {
	t.Helper()
	e, ok := errors.AsType[*event.DecodeError](err)
	if !ok {
		t.Fatalf("got %v, want a *DecodeError about %q", err, text)
	}
	wantText(t, e.Err, text)
	if e.ErrorType() != "decode" || !errors.Is(err, e.Err) {
		t.Errorf("type %q, or its reason is hidden: %v", e.ErrorType(), err)
	}
}

// wantInvalid fails the test unless err is an *InvalidError about field.
func wantInvalid(t testing.TB, err error, field string) {
	t.Helper()
	e, ok := errors.AsType[*event.InvalidError](err)
	if !ok || !errors.Is(err, event.ErrInvalid) || e.Field != field || e.ErrorType() != "invalid" || e.Reason == "" {
		t.Fatalf("got %v, want an *InvalidError about %s", err, field)
	}
}
