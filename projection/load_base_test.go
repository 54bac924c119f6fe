package projection_test

import (
	"testing"

	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
)

// Both stored states are lies, which tell where a Load began.
func TestLoadBeginsWithTheLaterOfStateAndSnapshot(t *testing.T) {
	t.Parallel()
	st, m := setup(t), balances().With(projection.Options{SnapshotEvery: 3})
	ann := Accounts.Stream("ann")
	appendTo(t, st, ann, Deposited{1}, Deposited{2})
	build(t, st, m, 0, 2)
	lie(t, st, 0, store.Snapshot{State: []byte(`{"Cents":1000}`), Position: 2, Version: 2})
	appendTo(t, st, ann, Deposited{3}, Deposited{4}, Deposited{5})
	if got, err := m.Load(t.Context(), st, ann); err != nil || got.Value.Cents != 1012 {
		t.Fatalf("from the engine's state: %+v, %v", got, err)
	}
	p := m.Program()
	sn, err := st.Snapshot(t.Context(), snapshot.OnDemandKey(p.Name, p.Revision, p.Fingerprint, p.Filter(nil), ann))
	if err != nil || sn.Position != 5 {
		t.Fatalf("what that Load kept: %+v, %v", sn, err)
	}
	sn.State = []byte(`{"Cents":5000}`)
	if err := st.SaveSnapshot(t.Context(), sn); err != nil {
		t.Fatal(err)
	}
	appendTo(t, st, ann, Deposited{6})
	if got, err := m.Load(t.Context(), st, ann); err != nil || got.Value.Cents != 5006 || got.Version != 6 {
		t.Fatalf("from the snapshot while the engine is behind: %+v, %v", got, err)
	}
	build(t, st, m, 0, 6)
	lie(t, st, 0, store.Snapshot{State: []byte(`{"Cents":9000}`), Position: 6, Version: 6})
	if got, err := m.Load(t.Context(), st, ann); err != nil || got.Value.Cents != 9000 {
		t.Fatalf("from the engine's state when that is later: %+v, %v", got, err)
	}
}
