package pebblestore

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// openStore opens a store and hands out its driver too.
func openStore(t *testing.T) (*store.Store, *driver) {
	t.Helper()
	d := openDriver(t, nil, nil)
	st, err := store.New(d, nil)
	if err != nil {
		t.Fatal(err)
	}
	return st, d
}

func TestVerifyFindsDamagedRecords(t *testing.T) {
	t.Parallel()
	key := store.SubscriberKey{Projection: "balances"}
	state := store.Snapshot{Key: store.SnapshotKey{Projection: "balances", Key: "ann"}, State: []byte(`{"n":1}`), ContentType: "application/json", Position: 3}
	for name, damage := range map[string]func(rec *store.Record) bool{
		"a checkpoint beyond the head": func(rec *store.Record) bool {
			rec.Revision = 99
			return rec.Key[0] == 's' && strings.HasSuffix(rec.Key, "c")
		},
		"a term that cannot be decoded": func(rec *store.Record) bool {
			rec.Value = []byte{1, 0xff}
			return rec.Key[0] == 's' && strings.HasSuffix(rec.Key, "t")
		},
		"a state that is not what it says": func(rec *store.Record) bool {
			rec.Value = []byte(strings.Replace(string(rec.Value), `{"n":1}`, `{"n":1[`, 1))
			return rec.Key[0] == 'n'
		},
		"a record of an unknown format": func(rec *store.Record) bool {
			rec.Value = append([]byte{77}, rec.Value...)
			return rec.Key[0] == 'n'
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := openStore(t)
			if _, err := d.Commit(t.Context(), &store.Txn{Appends: []store.Appending{appending("a", store.Any, 5)}}); err != nil {
				t.Fatal(err)
			}
			lease, err := st.Subscriber(key).Claim(t.Context(), event.NewID(), time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := lease.Commit(t.Context(), store.Commit{To: 3, Save: []store.Snapshot{state}}); err != nil {
				t.Fatal(err)
			}
			if err := st.Verify(t.Context(), nil); err != nil {
				t.Fatalf("before the damage: %v", err)
			}
			done := false
			for _, prefix := range []string{"s", "n"} {
				recs, err := d.List(t.Context(), prefix, "", 10)
				if err != nil {
					t.Fatal(err)
				}
				for _, rec := range recs {
					if damage(&rec) {
						done = true
						if _, err := d.Commit(t.Context(), &store.Txn{Puts: []store.Record{rec}}); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if !done {
				t.Fatal("nothing was damaged")
			}
			if err := st.Verify(t.Context(), nil); !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrIncompatible) {
				t.Fatalf("Verify = %v, want the damage", err)
			}
		})
	}
}

func TestAStoreOfANewerPebbleIsRefused(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	d, err := openRaw(fs, "db", quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	marker, _, err := atomicfs.LocateMarker(fs, "db", "format-version")
	if err != nil {
		t.Fatal(err)
	}
	if err := marker.Move("999"); err != nil {
		t.Fatal(err)
	}
	if err := marker.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openRaw(fs, "db", quiet); !errors.Is(err, store.ErrIncompatible) {
		t.Fatalf("open = %v, want ErrIncompatible", err)
	}
}
