package projection_test

import (
	"encoding/json"
	"errors"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

// backwards is a codec of its own: JSON, read from its end.
type backwards struct{}

func (backwards) ContentType() string { return "text/backwards" }

func (backwards) Marshal(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return turned(b), err
}

func (backwards) Unmarshal(data []byte, v any) error { return json.Unmarshal(turned(data), v) }

func turned(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}

func TestStatesCanBeReadWithoutTheirType(t *testing.T) {
	t.Parallel()
	st := setup(t)
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{3}, Deposited{4})
	message := projection.NewModel("message", projection.Fold(func(v **wrapperspb.Int64Value, e Deposited, _ event.Event) error {
		(*v).Value += e.Cents
		return nil
	}))
	odd := projection.NewModel("odd", projection.Fold(deposit)).With(projection.Options{Codec: backwards{}})
	build(t, st, balances(), 0, 2)
	build(t, st, message, 0, 2)
	build(t, st, odd, 0, 2)
	for _, c := range []struct {
		p           projection.Projection
		first, both string
	}{
		{balances(), `{"Cents":3}`, `{"Cents":7}`},
		{message, `"3"`, `"7"`}, // as protobuf writes 64 bits
		{odd, `{"Cents":3}`, `{"Cents":7}`},
	} {
		p := c.p.Program()
		sn, err := st.State(t.Context(), store.SnapshotKey{Projection: p.Name, Key: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.Model.JSON(sn); err != nil || string(got) != c.both {
			t.Errorf("%s: stored: %s, %v", p.Name, got, err)
		}
		got, err := p.Model.LoadAt(t.Context(), st, store.AtVersion(ann, 1), ann)
		if err != nil || string(got.JSON) != c.first || got.Version != 1 || got.Position != 1 {
			t.Errorf("%s: as it was: %s %+v, %v", p.Name, got.JSON, got, err)
		}
		if _, err := p.Model.LoadAt(t.Context(), st, store.AtVersion(ann, 3), ann); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: a version that does not exist: %v", p.Name, err)
		}
		sn.State, sn.ContentType = []byte("{"), "text/foreign"
		if _, err := p.Model.JSON(sn); err == nil {
			t.Errorf("%s: a state of another codec is read", p.Name)
		}
	}
}
