package projection_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
)

func TestLoadKeyIsAsOfNow(t *testing.T) {
	t.Parallel()
	st, m := setup(t), flows()
	tr := func(id, from, to string, cents int64) {
		appendTo(t, st, Transfers.Stream(id), Completed{from, to, cents})
	}
	if got, err := m.LoadKey(t.Context(), st, "ann"); err != nil || got.Value != (Flow{}) {
		t.Fatalf("%+v, %v", got, err)
	}
	tr("1", "ann", "bob", 5)
	if got, err := m.LoadKey(t.Context(), st, "bob"); err != nil || got.Value != (Flow{In: 5}) { // no engine ran
		t.Fatalf("%+v, %v", got, err)
	}
	tr("2", "bob", "ann", 3)
	build(t, st, m, 0, 2)
	tr("3", "ann", "ann", 1)
	tr("4", "cid", "bob", 100)
	for key, want := range map[string]Flow{"ann": {In: 4, Out: 6}, "bob": {In: 105, Out: 3}, "cid": {Out: 100}, "dan": {}} {
		got, err := m.LoadKey(t.Context(), st, key)
		if err != nil || got.Value != want || got.Position != 4 || got.Key != key {
			t.Errorf("%s: %+v, %v; want %+v", key, got, err, want)
		}
	}
	if got, err := m.Get(t.Context(), st, "ann"); err != nil || got.Value != (Flow{In: 3, Out: 5}) {
		t.Fatalf("%+v, %v", got, err)
	}
	_, err := m.Load(t.Context(), st, Transfers.Stream("1"))
	if !errors.Is(err, store.ErrInvalid) {
		t.Fatalf("Load of a model with keys: %v", err)
	}
}

func TestLoadKeyBeginsWithStatesOfItsOwnDefinitionOnly(t *testing.T) {
	t.Parallel()
	st := setup(t)
	appendTo(t, st, Transfers.Stream("1"), Completed{"ann", "bob", 5})
	out := func(factor int64, o projection.Options) *projection.Model[Flow] {
		return projection.NewModel("flows", projection.FoldBy(func(e Completed, _ event.Event) []string { return []string{e.From} },
			func(f *Flow, e Completed, _ event.Event) error { f.Out += factor * e.Cents; return nil })).With(o)
	}
	build(t, st, out(1, projection.Options{}), 0, 1)
	appendTo(t, st, Transfers.Stream("2"), Completed{"ann", "bob", 7})
	if got, err := out(100, projection.Options{}).LoadKey(t.Context(), st, "ann"); err != nil || got.Value.Out != 705 {
		t.Fatalf("the stored state is not used: %+v, %v", got, err)
	}
	if got, err := out(100, projection.Options{Revision: 1}).LoadKey(t.Context(), st, "ann"); err != nil || got.Value.Out != 1200 {
		t.Errorf("another revision: %+v, %v", got, err)
	}
}

func TestLoadKeyLeavesOutWhatAnOperatorSkipped(t *testing.T) {
	t.Parallel()
	st, m := setup(t), flows()
	for i, e := range []Completed{{"ann", "bob", 5}, {"cid", "bob", -1}, {"ann", "bob", 7}} {
		appendTo(t, st, Transfers.Stream(string(rune('1'+i))), e)
	}
	register(t, st, m.Program(), 0)
	row, err := st.Projection(t.Context(), "flows")
	if err != nil {
		t.Fatal(err)
	}
	row.Skips = []store.Skip{{Key: "bob", Position: 2}}
	if _, err := st.SaveProjection(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if got, err := m.LoadKey(t.Context(), st, "bob"); err != nil || got.Value.In != 12 {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestLoadKeyNeverLeavesAParkedEventOut(t *testing.T) {
	t.Parallel()
	st, m := setup(t), flows()
	for i, e := range []Completed{{"ann", "bob", 5}, {"cid", "bob", -1}, {"ann", "bob", 7}} {
		appendTo(t, st, Transfers.Stream(string(rune('1'+i))), e)
	}
	build(t, st, m, 0, 3)
	if got, err := m.Get(t.Context(), st, "bob"); err != nil || !got.Blocked || got.Value.In != 5 || got.Position != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	_, err := m.LoadKey(t.Context(), st, "bob")
	if fe, ok := errors.AsType[*projection.FoldError](err); !ok || fe.Position != 2 || fe.Key != "bob" {
		t.Fatal(err)
	}
	if got, err := m.LoadKey(t.Context(), st, "ann"); err != nil || got.Value.Out != 12 {
		t.Fatalf("another key: %+v, %v", got, err)
	}
}

func TestLoadKeyRefusesToReadTooMuch(t *testing.T) {
	t.Parallel()
	st, m := setup(t), flows()
	left := projection.MaxBehind + 1
	for i := 0; left > 0; i++ {
		n := min(left, 1000)
		appendTo(t, st, Transfers.Stream("t"), slices.Repeat([]event.Payload{Completed{"ann", "bob", 1}}, n)...)
		left -= n
	}
	if _, err := m.LoadKey(t.Context(), st, "ann"); !errors.Is(err, projection.ErrTooFarBehind) {
		t.Fatal(err)
	}
	build(t, st, m, 0, 1)
	got, err := m.LoadKey(t.Context(), st, "ann")
	if err != nil || got.Value.Out != projection.MaxBehind+1 {
		t.Fatalf("%+v, %v", got, err)
	}
	// How old a state is does not matter: nothing of its key came since.
	build(t, st, m, 0, head(t, st))
	if got, err := m.LoadKey(t.Context(), st, "nobody"); err != nil || got.Value != (Flow{}) {
		t.Fatalf("%+v, %v", got, err)
	}
}
