package pebblestore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// model is the store as a plain slice.
type model struct {
	events  []event.Event
	streams map[event.Stream]streamState
	once    map[event.ID]bool
}

// The names that the model test draws from: few, so that they meet; with bytes that the
// keys escape.
var (
	modelAggregates = []event.Aggregate{"a", "a/b", "b"}
	modelIDs        = []string{"1", "1\x00", "1\x00\x01", "2", "\xc3\xbf"}
	modelNames      = []string{"x", "y", "z"}
	modelKeys       = []string{"", "", "eu", "e", "eu\x00"}
)

func drawStream(t *rapid.T) event.Stream {
	return rapid.SampledFrom(modelAggregates).Draw(t, "aggregate").Stream(rapid.SampledFrom(modelIDs).Draw(t, "id"))
}

func (m *model) drawAppending(t *rapid.T) store.Appending {
	a := store.Appending{Stream: drawStream(t), RoutingKey: rapid.SampledFrom(modelKeys).Draw(t, "key"), Once: rapid.Bool().Draw(t, "once")}
	version := m.streams[a.Stream].version
	a.Expect = rapid.SampledFrom([]store.Expect{store.Any, store.Any, store.Any, store.NoStream, store.Exists, store.Exact(version), store.Exact(version + 1)}).Draw(t, "expect")
	for range rapid.IntRange(1, 4).Draw(t, "events") {
		ev := event.Event{
			ID: event.NewID(), Name: rapid.SampledFrom(modelNames).Draw(t, "name"), SchemaVersion: rapid.IntRange(1, 3).Draw(t, "schema"),
			ContentType: rapid.SampledFrom([]string{jsonContentType, "text/plain"}).Draw(t, "type"),
			Data:        rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "data"),
		}
		if rapid.Bool().Draw(t, "metadata") {
			ev.Metadata = ev.Metadata.With("k", fmt.Sprint(len(m.events)))
		}
		a.Events = append(a.Events, ev)
	}
	if a.Once && len(m.once) > 0 && rapid.IntRange(0, 3).Draw(t, "repeat") == 0 {
		for _, ev := range m.events { // an id that is kept already
			if m.once[ev.ID] {
				a.Events[0].ID = ev.ID
				break
			}
		}
	}
	return a
}

// refuses says what the append must meet, by the order in which a driver checks.
func (m *model) refuses(appends []store.Appending) error {
	for _, a := range appends {
		for _, ev := range a.Events {
			if a.Once && m.once[ev.ID] {
				return errDuplicate
			}
		}
	}
	streams := map[event.Stream]streamState{}
	for _, a := range appends {
		s, ok := streams[a.Stream]
		if !ok {
			s = m.streams[a.Stream]
		}
		if !a.Expect.Holds(s.version) {
			return store.ErrConflict
		}
		if s.version > 0 && a.RoutingKey != "" && a.RoutingKey != s.routingKey {
			return store.ErrInvalid
		}
		if s.version == 0 {
			s.routingKey = a.RoutingKey
		}
		s.version += uint64(len(a.Events))
		streams[a.Stream] = s
	}
	return nil
}

var errDuplicate = errors.New("duplicate")

func (m *model) apply(appends []store.Appending) {
	for _, a := range appends {
		s := m.streams[a.Stream]
		if s.version == 0 {
			s.routingKey = a.RoutingKey
		}
		for _, ev := range a.Events {
			s.version++
			ev.Position, ev.Stream, ev.Version, ev.RoutingKey = event.Position(len(m.events)+1), a.Stream, s.version, s.routingKey
			s.last = uint64(ev.Position)
			m.events = append(m.events, ev)
			if a.Once {
				m.once[ev.ID] = true
			}
		}
		m.streams[a.Stream] = s
	}
}

func (m *model) append(t *rapid.T, d *driver) {
	var appends []store.Appending
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "batches") {
		appends = append(appends, m.drawAppending(t))
	}
	want := m.refuses(appends)
	res, err := d.Commit(t.Context(), &store.Txn{Appends: appends})
	switch _, duplicate := errors.AsType[*store.DuplicateError](err); {
	case want == nil && err == nil:
		before := event.Position(len(m.events))
		m.apply(appends)
		if res.First != before+1 || res.Position != event.Position(len(m.events)) {
			t.Fatalf("positions %d to %d, want %d to %d", res.First, res.Position, before+1, len(m.events))
		}
	case want == errDuplicate && duplicate, want != nil && errors.Is(err, want):
	default:
		t.Fatalf("append %+v: %v, want %v", appends, err, want)
	}
}

func (m *model) drawScan(t *rapid.T) store.Scan {
	scan := store.Scan{
		Limit: rapid.IntRange(1, 12).Draw(t, "limit"), Examine: rapid.IntRange(1, 40).Draw(t, "examine"),
		Backward: rapid.Bool().Draw(t, "backward"),
	}
	top := len(m.events) + 2
	scan.From = event.Position(rapid.IntRange(0, top).Draw(t, "from"))
	scan.To = event.Position(rapid.IntRange(0, top).Draw(t, "to"))
	if key := rapid.SampledFrom(append(modelKeys, "none of these", "-")).Draw(t, "key"); key != "-" {
		scan.RoutingKey = &key
	}
	for range rapid.SampledFrom([]int{0, 1, 1, 2, 3, 70}).Draw(t, "matches") {
		s := drawStream(t)
		match := store.Match{Aggregate: s.Aggregate}
		if rapid.Bool().Draw(t, "by id") {
			match.ID = s.ID
			if rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
				match.ID = fmt.Sprint("unknown", len(scan.Match))
			}
		}
		if rapid.Bool().Draw(t, "by name") {
			match.Name = rapid.SampledFrom(append(modelNames, "unknown")).Draw(t, "name")
		}
		scan.Match = append(scan.Match, match)
	}
	if len(scan.Match) == 1 && scan.Match[0].ID != "" && scan.Match[0].Name == "" && rapid.Bool().Draw(t, "by version") {
		scan.MinVersion = rapid.Uint64Range(0, 6).Draw(t, "version")
	}
	return scan
}

func (m *model) selects(scan store.Scan, ev *event.Event) bool {
	if ev.Position < scan.From || scan.To != 0 && ev.Position > scan.To || ev.Version < scan.MinVersion {
		return false
	}
	if scan.RoutingKey != nil && ev.RoutingKey != *scan.RoutingKey {
		return false
	}
	return scan.Match == nil || slices.ContainsFunc(scan.Match, func(match store.Match) bool {
		return ev.Stream.Aggregate == match.Aggregate && (match.ID == "" || ev.Stream.ID == match.ID) && (match.Name == "" || ev.Name == match.Name)
	})
}

// read compares one page with what the slice selects, and what it says of the rest.
func (m *model) read(t *rapid.T, d *driver, scan store.Scan) store.ScanResult {
	res, err := d.Read(t.Context(), scan)
	if err != nil {
		t.Fatalf("read %+v: %v", scan, err)
	}
	head := event.Position(len(m.events))
	if res.Head != head {
		t.Fatalf("head %d, want %d", res.Head, head)
	}
	var want, rest []event.Event
	for _, ev := range m.events {
		if !m.selects(scan, &ev) {
			continue
		}
		if scan.Backward && ev.Position >= res.Scanned || !scan.Backward && ev.Position <= res.Scanned {
			want = append(want, ev)
		} else {
			rest = append(rest, ev)
		}
	}
	if scan.Backward {
		slices.Reverse(want)
	}
	if len(res.Events) != len(want) {
		t.Fatalf("read %+v: %d events up to %d, want %d", scan, len(res.Events), res.Scanned, len(want))
	}
	for i := range want {
		compareEvents(t, &res.Events[i], &want[i])
	}
	switch {
	case len(res.Events) > scan.Limit:
		t.Fatalf("%d events, the limit is %d", len(res.Events), scan.Limit)
	case !res.More && len(rest) > 0:
		t.Fatalf("read %+v: no more after %d, but there are %d", scan, res.Scanned, len(rest))
	case res.More && len(rest) == 0 && scan.Examine > len(m.events):
		t.Fatalf("read %+v: more after %d, but there is none", scan, res.Scanned)
	case !scan.Backward && res.Scanned > head:
		t.Fatalf("scanned to %d beyond the head %d", res.Scanned, head)
	}
	return res
}

func compareEvents(t *rapid.T, got, want *event.Event) {
	if got.Position != want.Position || got.ID != want.ID || got.Stream != want.Stream || got.Version != want.Version ||
		got.Name != want.Name || got.RoutingKey != want.RoutingKey || got.SchemaVersion != want.SchemaVersion ||
		got.ContentType != want.ContentType || string(got.Data) != string(want.Data) || got.Metadata.Get("k") != want.Metadata.Get("k") {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// readOn goes on from page to page until there is no more.
func (m *model) readOn(t *rapid.T, d *driver) {
	scan := m.drawScan(t)
	for range 10 * (len(m.events) + 2) {
		res := m.read(t, d, scan)
		if !res.More {
			return
		}
		if scan.Backward {
			if scan.To = res.Scanned - 1; scan.To == 0 {
				return
			}
		} else {
			scan.From = res.Scanned + 1
		}
	}
	t.Fatalf("the pages of %+v do not end", scan)
}

func (m *model) stream(t *rapid.T, d *driver) {
	s := drawStream(t)
	info, err := d.Stream(t.Context(), s)
	want := m.streams[s]
	if err != nil || info.Version != want.version || uint64(info.Last) != want.last || info.RoutingKey != want.routingKey {
		t.Fatalf("stream %q: %+v, %v, want %+v", s, info, err, want)
	}
}

func (m *model) list(t *rapid.T, d *driver) {
	a := rapid.SampledFrom(modelAggregates).Draw(t, "aggregate")
	r := store.Range{
		Prefix: rapid.SampledFrom([]string{"", "1", "1\x00", "2", "3"}).Draw(t, "prefix"),
		After:  rapid.SampledFrom(append([]string{"", "0", "1\x00\x00"}, modelIDs...)).Draw(t, "after"),
		Limit:  rapid.IntRange(0, 3).Draw(t, "limit"),
	}
	got, err := d.Streams(t.Context(), a, r)
	if err != nil {
		t.Fatal(err)
	}
	var want []event.Stream
	for s := range m.streams {
		if s.Aggregate == a && s.ID > r.After && len(s.ID) >= len(r.Prefix) && s.ID[:len(r.Prefix)] == r.Prefix {
			want = append(want, s)
		}
	}
	slices.SortFunc(want, func(x, y event.Stream) int { return slices.Compare([]byte(x.ID), []byte(y.ID)) })
	if r.Limit > 0 && len(want) > r.Limit {
		want = want[:r.Limit]
	}
	if !slices.Equal(got, want) {
		t.Fatalf("streams of %q in %+v: %q, want %q", a, r, got, want)
	}
}

// TestModel compares the driver with a slice. CI runs 20,000 checks:
//
//	go test ./store/pebblestore -run '^TestModel$' -rapid.checks 20000
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewMem()
		size := rapid.SampledFrom([]int{1, 3, 1000}).Draw(t, "version cache")
		start := func() *driver {
			d, err := openRaw(fs, "db", quiet, func(o *Options) { o.versionCacheSize = size })
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		d := start()
		defer func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}()
		m := &model{streams: map[event.Stream]streamState{}, once: map[event.ID]bool{}}
		t.Repeat(map[string]func(*rapid.T){
			"append":  func(t *rapid.T) { m.append(t, d) },
			"append2": func(t *rapid.T) { m.append(t, d) },
			"page":    func(t *rapid.T) { m.read(t, d, m.drawScan(t)) },
			"pages":   func(t *rapid.T) { m.readOn(t, d) },
			"stream":  func(t *rapid.T) { m.stream(t, d) },
			"list":    func(t *rapid.T) { m.list(t, d) },
			"reopen": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
					t.Skip("rarely")
				}
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				d = start()
			},
		})
		if err := d.Verify(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		at, err := d.PositionAt(t.Context(), time.Now().Add(time.Hour))
		if err != nil || at != event.Position(len(m.events)+1) {
			t.Fatalf("position of the future: %d, %v", at, err)
		}
	})
}
