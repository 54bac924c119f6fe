package snapshot_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
)

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	k := store.SnapshotKey{Projection: "p", Key: "a"}
	type balance struct{ Cents int64 }
	for _, c := range []struct {
		codec         event.Codec
		state, target any
	}{
		{event.JSON(), balance{5}, &balance{}},
		{event.Protobuf(), timestamppb.New(time.Unix(5, 0)), &timestamppb.Timestamp{}},
	} {
		sn, err := snapshot.Seal(c.codec, k, c.state, 2, 3, 4)
		if err != nil {
			t.Fatal(err)
		}
		if sn.Key != k || sn.Revision != 2 || sn.Version != 3 || sn.Position != 4 || sn.ContentType != c.codec.ContentType() {
			t.Errorf("%+v", sn)
		}
		if err := snapshot.Open(c.codec, sn, c.target); err != nil {
			t.Fatal(err)
		}
		again, err := c.codec.Marshal(c.target)
		if err != nil || string(again) != string(sn.State) {
			t.Errorf("%s became %s (%v)", sn.State, again, err)
		}
	}
}

func TestWhatCannotBeSealedOrOpened(t *testing.T) {
	t.Parallel()
	k := store.SnapshotKey{Projection: "p", Generation: 1, Key: "a"}
	_, err := snapshot.Seal(event.JSON(), k, make(chan int), 0, 0, 0)
	if bad, ok := errors.AsType[*snapshot.EncodeError](err); !ok || bad.Key != "a" || bad.ErrorType() != "state_encode" {
		t.Error(err)
	}
	for name, sn := range map[string]store.Snapshot{
		"another content type": {Key: k, State: []byte("{}"), ContentType: "application/protobuf"},
		"damaged":              {Key: k, State: []byte("{"), ContentType: "application/json"},
		"empty":                {Key: k, ContentType: "application/json"},
	} {
		err := snapshot.Open(event.JSON(), sn, &struct{}{})
		if bad, ok := errors.AsType[*snapshot.DecodeError](err); !ok || bad.Snapshot != k || bad.ErrorType() != "state_decode" || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type tree struct {
	Name string
	Kids []tree
	Up   *tree
	Tags map[string]tree
}

type selfList []selfList

type secret struct{ hidden string }

func (s secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.hidden) }

type ownCodec struct {
	event.Codec
	mark string
}

func (o ownCodec) Fingerprint(t reflect.Type) string { return o.mark + t.Kind().String() }

func TestFingerprintsFollowTheShape(t *testing.T) {
	t.Parallel()
	hash := func(c event.Codec, v any) string { return snapshot.Fingerprint(c, reflect.TypeOf(v)) }
	j := event.JSON()
	type a struct {
		X int
		Y string
	}
	same := map[string]any{
		"another name": func() any {
			type b struct {
				X int
				Y string
			}
			return b{}
		}(),
		"another order": struct {
			Y string
			X int
		}{},
		"a pointer": &a{},
		"fields nobody sees": struct {
			X int
			Y string
			z float64 //nolint:unused // it must not matter
			Z float64 `json:"-"`
		}{},
		"another tag": struct {
			X int `validate:"min=1"`
			Y string
		}{},
	}
	for name, v := range same {
		if hash(j, v) != hash(j, a{}) {
			t.Errorf("%s changes the fingerprint", name)
		}
	}
	seen := map[string]string{hash(j, a{}): "the base"}
	for name, h := range map[string]string{
		"another codec": hash(event.Protobuf(), a{}),
		"a field more": hash(j, struct {
			X int
			Y string
			Z int
		}{}),
		"another kind": hash(j, struct {
			X int64
			Y string
		}{}),
		"another field name": hash(j, struct {
			X2 int
			Y  string
		}{}),
		"a json tag": hash(j, struct {
			X int `json:"x"`
			Y string
		}{}),
		"something deep":    hash(j, struct{ A []map[string]*a }{}),
		"something deeper":  hash(j, struct{ A []map[string][]a }{}),
		"embedded":          hash(j, struct{ a }{}),
		"named":             hash(j, struct{ A a }{}),
		"recursive":         hash(j, tree{}),
		"recursive list":    hash(j, selfList{}),
		"an array":          hash(j, [3]int{}),
		"a longer array":    hash(j, [4]int{}),
		"encodes itself":    hash(j, secret{}),
		"time":              hash(j, time.Time{}),
		"an interface":      hash(j, struct{ A any }{}),
		"message":           hash(event.Protobuf(), &timestamppb.Timestamp{}),
		"recursive message": hash(event.Protobuf(), &structpb.Struct{}),
		"own codec":         hash(ownCodec{j, "1"}, a{}),
		"own codec again":   hash(ownCodec{j, "2"}, a{}),
	} {
		if other, taken := seen[h]; taken {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[h] = name
	}
	if hash(event.Protobuf(), &timestamppb.Timestamp{}) != hash(event.Protobuf(), &durationpb.Duration{}) {
		t.Error("the names of messages matter, though their bytes are alike")
	}
	if hash(event.Protobuf(), &timestamppb.Timestamp{}) != hash(event.Protobuf(), struct{ *timestamppb.Timestamp }{}) {
		t.Error("a wrapper of a message has another fingerprint than the message")
	}
}

func TestOnDemandKeysTellSnapshotsApart(t *testing.T) {
	t.Parallel()
	a, b := event.Stream{Aggregate: "x", ID: "a"}, event.Stream{Aggregate: "x", ID: "b"}
	first := snapshot.OnDemandKey("p", 1, "f", "g", a, b)
	if again := snapshot.OnDemandKey("p", 1, "f", "g", a, b); again != first {
		t.Error("the key is not stable")
	}
	seen := map[store.SnapshotKey]bool{first: true}
	for i, k := range []store.SnapshotKey{
		snapshot.OnDemandKey("q", 1, "f", "g", a, b), snapshot.OnDemandKey("p", 2, "f", "g", a, b),
		snapshot.OnDemandKey("p", 1, "F", "g", a, b), snapshot.OnDemandKey("p", 1, "f", "G", a, b),
		snapshot.OnDemandKey("p", 1, "f", "g", b, a), snapshot.OnDemandKey("p", 1, "f", "g", a),
		snapshot.OnDemandKey("p", 1, "f", "g", event.Stream{Aggregate: "xa", ID: "x"}, b),
	} {
		if seen[k] {
			t.Errorf("key %d was there before", i)
		}
		seen[k] = true
	}
	long := event.Stream{Aggregate: event.Aggregate(strings.Repeat("a", 255)), ID: strings.Repeat("b", 255)}
	if k := snapshot.OnDemandKey("p", 1, "f", "g", long, long); len(k.Key) > 384 {
		t.Errorf("a key of %d bytes", len(k.Key))
	}
}

func ExamplePolicy() {
	fmt.Println(snapshot.DefaultPolicy.Keep(255), snapshot.DefaultPolicy.Keep(256))
	fmt.Println(snapshot.Policy(10).Keep(9), snapshot.Policy(10).Keep(10))
	fmt.Println(snapshot.Never.Keep(1 << 20))
	// Output:
	// false true
	// false true
	// false
}
