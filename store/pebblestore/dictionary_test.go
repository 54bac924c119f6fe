package pebblestore

import (
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Readers have the published dictionary while the committer extends a clone of it, and throws
// that away when nothing of the group is written.
func TestAClonedDictionaryIsOneOfItsOwn(t *testing.T) {
	t.Parallel()
	account, order := event.Aggregate("account"), event.Aggregate("order")
	d := newDictionary()
	d.addAggregate(order, 2)
	d.addAggregate(account, 1) // they are loaded in the order of their names
	// In each slice there is room for one more.
	d.addName(order.Event("placed"), 1)
	for i, name := range []string{"opened", "renamed", "closed"} {
		d.addName(account.Event(name), uint32(i+2))
	}
	thrownAway := d.clone()
	thrownAway.addAggregate(event.Aggregate("parcel"), 3)
	thrownAway.addName(account.Event("frozen"), 5)
	thrownAway.addName(order.Event("paid"), 6)
	kept := d.clone()
	kept.addName(order.Event("sent"), 5)
	kept.addName(account.Event("merged"), 6)

	check := func(what string, d *dictionary, size int, next uint32, names ...string) {
		t.Helper()
		var got []string
		for _, id := range d.aggregateNames(account) {
			typ, _ := d.name(id)
			got = append(got, typ.Name)
		}
		if !slices.Equal(got, names) || d.size() != size || d.nextAgg != next {
			t.Errorf("%s: the account has the names %q, want %q; %d entries, want %d; the next aggregate is %d, want %d",
				what, got, names, d.size(), size, d.nextAgg, next)
		}
	}
	check("published", d, 6, 3, "opened", "renamed", "closed")
	check("thrown away", thrownAway, 9, 4, "opened", "renamed", "closed", "frozen")
	check("kept", kept, 8, 3, "opened", "renamed", "closed", "merged")
	if typ, ok := d.name(5); ok {
		t.Errorf("the published dictionary knows %v", typ)
	}
	if typ, ok := kept.name(0); ok {
		t.Errorf("number 0 is %v", typ)
	}
}

func TestADamagedDictionaryIsNotLoaded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key, value string
		want       error
	}{
		"a name without a number":       {string(dictKey(kindName, 1, "odd")), "", store.ErrCorrupt},
		"a name with number 0":          {string(dictKey(kindName, 1, "odd")), "\x00\x00\x00\x00", store.ErrCorrupt},
		"a name with too high a number": {string(dictKey(kindName, 1, "odd")), "\x00\x01\x00\x01", store.ErrCorrupt},
		"a name of no aggregate":        {string(dictKey(kindName, 9, "odd")), "\x00\x00\x00\x02", store.ErrCorrupt},
		"an aggregate without a name":   {string(dictKey(kindAggregate, 0, "")), "\x00\x00\x00\x02", store.ErrCorrupt},
		"entries of a later version":    {string(dictKey(kindName+1, 1, "odd")), "\x00\x00\x00\x02", store.ErrIncompatible},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := vfs.NewMem()
			d, err := openRaw(fs, "db", quiet)
			if err != nil {
				t.Fatal(err)
			}
			mustAppend(t, d, "a", 1)
			if err := d.db.Set([]byte(c.key), []byte(c.value), pebble.Sync); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if d, err := openRaw(fs, "db", quiet); !errors.Is(err, c.want) {
				t.Errorf("open: %v, want %v", err, c.want)
				if err == nil {
					_ = d.Close()
				}
			}
		})
	}
}
