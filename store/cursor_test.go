package store_test

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

func lastCursor(tb testing.TB, st *store.Store) store.Cursor {
	tb.Helper()
	p, err := st.Read(tb.Context(), store.Query{Limit: 2})
	if err != nil {
		tb.Fatal(err)
	}
	return p.End
}

// forge makes a cursor with a right checksum.
func forge(kind byte, body ...byte) store.Cursor {
	b := append([]byte{kind}, body...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	return store.Cursor(base64.RawURLEncoding.EncodeToString(b))
}

func TestDamagedCursorsAreRefused(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 5)
	good := lastCursor(t, st)
	wantEqual(t, "length", len(good), 23)
	bad := map[store.Cursor]bool{"=": true, "AAAA": true, good + "\n": true, good[:10] + "\r\n" + good[10:]: true, good + good: true}
	for i := range good { // every prefix, and every other letter at every place
		if i > 0 {
			bad[good[:i]] = true
		}
		for _, c := range []byte("AQg_-z9") {
			if c != good[i] {
				bad[good[:i]+store.Cursor(c)+good[i+1:]] = true
			}
		}
	}
	bad[forge(1, 0, 0)] = true
	bad[forge(9, make([]byte, 12)...)] = true
	for c := range bad {
		_, err := st.Read(t.Context(), store.Query{After: c})
		if _, ok := errors.AsType[*store.InvalidError](err); !ok {
			t.Errorf("cursor %q: got %v", c, err)
		}
	}
}

func TestForeignCursorsAreRefused(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	other, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 5)
	c := lastCursor(t, st)
	_, err := other.Read(t.Context(), store.Query{After: c})
	wantError(t, err, store.ErrHistory)
	wantError(t, failure(other.Events(t.Context(), store.Query{After: c})), store.ErrHistory)
	reopened := open(t, d.Reopen())
	if _, err := reopened.Read(t.Context(), store.Query{After: c}); err != nil {
		t.Fatal("the same store after a restart:", err)
	}
	page, err := store.Paginate([]string{"a", "b"}, func(s string) string { return s }, store.Query{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = reopened.Read(t.Context(), store.Query{After: page.End})
	wantInvalid(t, err, "Query.After")
	_, err = store.Merge(reopened).Read(t.Context(), store.Query{After: c})
	wantInvalid(t, err, "Query.After")
	_, err = store.Paginate([]string{"a", "b"}, func(s string) string { return s }, store.Query{After: c})
	wantInvalid(t, err, "Query.After")
}

func TestForgedCursorsReadFromThere(t *testing.T) {
	t.Parallel()
	st, _ := setup(t, memdriver.Options{})
	deposit(t, st, "a", 5)
	c := lastCursor(t, st)
	raw, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil {
		t.Fatal(err)
	}
	at := func(p uint64) store.Cursor {
		return forge(1, append(binary.BigEndian.AppendUint64(nil, p), raw[9:13]...)...)
	}
	for p, want := range map[uint64]struct{ forward, backward []event.Position }{
		0:                  {[]event.Position{1, 2, 3, 4, 5}, nil},
		1:                  {[]event.Position{2, 3, 4, 5}, nil},
		3:                  {[]event.Position{4, 5}, []event.Position{2, 1}},
		5:                  {nil, []event.Position{4, 3, 2, 1}},
		6:                  {nil, []event.Position{5, 4, 3, 2, 1}},
		math.MaxUint64 - 1: {nil, []event.Position{5, 4, 3, 2, 1}},
		math.MaxUint64:     {nil, []event.Position{5, 4, 3, 2, 1}},
	} {
		page, err := st.Read(t.Context(), store.Query{After: at(p)})
		if err != nil {
			t.Fatal(err)
		}
		wantList(t, "forward", positions(page.Items), want.forward)
		page, err = st.Read(t.Context(), store.Query{After: at(p), Backward: true})
		if err != nil {
			t.Fatal(err)
		}
		wantList(t, "backward", positions(page.Items), want.backward)
	}
}

// FuzzCursor: whatever comes as a cursor is refused or read from, and never read wrongly.
func FuzzCursor(f *testing.F) {
	st, _ := setup(f, memdriver.Options{})
	deposit(f, st, "a", 5)
	merged := store.Merge(st, st)
	f.Add(string(lastCursor(f, st)))
	f.Add("")
	f.Add(string(forge(1, make([]byte, 12)...)))
	f.Add(string(forge(2, make([]byte, 28)...)))
	f.Add(string(forge(3, 0, 'a')))
	f.Fuzz(func(t *testing.T, text string) {
		q := store.Query{After: store.Cursor(text)}
		check := func(err error) {
			t.Helper()
			if err != nil && !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrHistory) {
				t.Fatalf("%q: %v", text, err)
			}
		}
		for _, q.Backward = range []bool{false, true} {
			page, err := st.Read(t.Context(), q)
			check(err)
			for i, e := range page.Items {
				if i > 0 && (e.Position < page.Items[i-1].Position) != q.Backward {
					t.Fatalf("%q: out of order", text)
				}
			}
			_, err = merged.Read(t.Context(), q)
			check(err)
			_, err = store.Paginate([]string{"a", "b"}, func(s string) string { return s }, q)
			check(err)
		}
	})
}
