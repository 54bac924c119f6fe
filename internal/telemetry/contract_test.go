package telemetry_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffle-go/riffle/internal/telemetry"
)

var update = flag.Bool("update", false, "write the tables of docs/observability.md")

const docs = "../../docs/observability.md"

// everything makes each instrument and each span appear, with every attribute it can have.
func everything(t *testing.T, r *rig) {
	t.Helper()
	failure := errors.New("refused")
	for _, err := range []error{nil, failure, &typedError{"conflict"}} {
		_, a := r.store.StartAppend(t.Context(), "bank/account", 1, 2)
		a.End(err)
	}
	r.store.Sync(time.Millisecond)
	r.store.Group(3, 4096)
	s := r.runtime.Subscription(telemetry.SubscriptionConfig{Name: "balances"})
	for _, err := range []error{nil, failure} {
		_, p := s.StartPage(t.Context(), telemetry.Page{Events: 2})
		p.End(2, err)
		s.Checkpoint(time.Millisecond, err)
	}
	s.Delay(time.Millisecond)
	s.Busy(time.Millisecond)
	s.Retried()
	s.Skipped(1)
	s.Restarted()
	s.Lease(telemetry.LeaseAcquired)

	observe := func(_ func(), err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	observe(r.store.ObserveHead(func() int64 { return 7 }))
	observe(r.store.ObservePebble(func() telemetry.PebbleSample { return telemetry.PebbleSample{} }))
	observe(r.runtime.Observe(func() []telemetry.SubscriptionSample {
		return []telemetry.SubscriptionSample{{Name: "balances", State: "live", Rebuilding: true}}
	}))
}

func TestEmittedMetricsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	r := setup(t)
	everything(t, r)
	emitted := r.collect(t)
	for _, in := range telemetry.Instruments() {
		m, ok := emitted[in.Name]
		delete(emitted, in.Name)
		if !ok {
			t.Errorf("%s is in the table and never emitted", in.Name)
			continue
		}
		equal(t, in.Name+": kind", m.kind, in.Kind)
		equal(t, in.Name+": unit", m.unit, in.Unit)
		equal(t, in.Name+": description", m.description, in.Description)
		equalSlices(t, in.Name+": buckets", m.buckets, in.Buckets)
		var sets [][]attribute.KeyValue
		for _, p := range m.points {
			sets = append(sets, p.attrs.ToSlice())
		}
		equalSlices(t, in.Name+": attributes", union(sets...), in.Attributes)
	}
	for name := range maps.Keys(emitted) {
		t.Errorf("%s is emitted and not in the table", name)
	}
}

func TestEmittedSpansAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	r := setup(t)
	everything(t, r)
	emitted := make(map[string][]sdktrace.ReadOnlySpan)
	for _, s := range r.spans.Ended() {
		name := strings.NewReplacer("orders", "{store}", "balances", "{subscription}").Replace(s.Name())
		emitted[name] = append(emitted[name], s)
	}
	for _, want := range telemetry.Spans() {
		spans := emitted[want.Name]
		delete(emitted, want.Name)
		var sets [][]attribute.KeyValue
		for _, s := range spans {
			equal(t, want.Name+": kind", s.SpanKind(), want.Kind)
			sets = append(sets, s.Attributes())
		}
		equalSlices(t, want.Name+": attributes", union(sets...), want.Attributes)
	}
	for name := range maps.Keys(emitted) {
		t.Errorf("span %q is emitted and not in the table", name)
	}
}

// union returns the keys of all sets, sorted.
func union(sets ...[]attribute.KeyValue) []string {
	seen := make(map[string]bool)
	for _, set := range sets {
		for _, kv := range set {
			seen[string(kv.Key)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func TestDocumentHasTheTables(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for section, want := range map[string]string{
		"metrics": metricsTable(), "spans": spansTable(), "buckets": bucketsTable(),
	} {
		begin, end := "<!-- "+section+":begin -->\n", "<!-- "+section+":end -->\n"
		before, rest, ok := strings.Cut(text, begin)
		got, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no section between %q and %q", docs, begin, end)
		}
		if *update {
			text = before + begin + want + end + after
		} else if got != want {
			t.Errorf("the %s of %s are not those of the code; run this test with -update. Want:\n%s", section, docs, want)
		}
	}
	if *update {
		if err := os.WriteFile(docs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Outside of the tables people wrote the names by hand.
func TestDocumentNamesNothingUnknownAndExplainsEveryAttribute(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	known, keys := make(map[string]bool), make(map[string]bool)
	for _, in := range telemetry.Instruments() {
		known[in.Name] = true
		for _, key := range in.Attributes {
			keys[key] = true
		}
	}
	for _, s := range telemetry.Spans() {
		for _, key := range s.Attributes {
			keys[key] = true
		}
	}
	for _, found := range regexp.MustCompile("`((?:riffle|messaging)\\.[a-z_.]+)`").FindAllStringSubmatch(string(data), -1) {
		if name := found[1]; !known[name] && !keys[name] {
			t.Errorf("%s names %s, which is no metric and no attribute", docs, name)
		}
	}
	for key := range keys {
		if !strings.Contains(string(data), "\n| `"+key+"` | ") {
			t.Errorf("%s has no row that explains the attribute %s", docs, key)
		}
	}
}

func metricsTable() string {
	var b strings.Builder
	b.WriteString("\n| name | kind | unit | attributes | what it tells |\n| --- | --- | --- | --- | --- |\n")
	for _, in := range telemetry.Instruments() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s |\n", in.Name, in.Kind, in.Unit, code(in.Attributes), in.Description)
	}
	b.WriteString("\n")
	return b.String()
}

func spansTable() string {
	var b strings.Builder
	b.WriteString("\n| name | kind | attributes | what it covers |\n| --- | --- | --- | --- |\n")
	for _, s := range telemetry.Spans() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, s.Kind, code(s.Attributes), s.Description)
	}
	b.WriteString("\n")
	return b.String()
}

func bucketsTable() string {
	var b strings.Builder
	b.WriteString("\n| histogram | unit | upper bounds |\n| --- | --- | --- |\n")
	for _, in := range telemetry.Instruments() {
		if in.Kind == telemetry.Histogram {
			fmt.Fprintf(&b, "| `%s` | `%s` |", in.Name, in.Unit)
			for _, bound := range in.Buckets {
				b.WriteString(" " + strconv.FormatFloat(bound, 'f', -1, 64))
			}
			b.WriteString(" |\n")
		}
	}
	b.WriteString("\n")
	return b.String()
}

func code(names []string) string {
	return "`" + strings.Join(names, "`, `") + "`"
}

func TestTableIsWellFormed(t *testing.T) {
	t.Parallel()
	all := telemetry.Instruments()
	for i, in := range all {
		if i > 0 && all[i-1].Name >= in.Name {
			t.Errorf("%s does not come after %s", in.Name, all[i-1].Name)
		}
		if !strings.HasPrefix(in.Name, "riffle.") && !strings.HasPrefix(in.Name, "messaging.") {
			t.Errorf("%s is in a namespace that is not ours", in.Name)
		}
		if !slices.IsSorted(in.Attributes) || !slices.IsSorted(in.Buckets) {
			t.Errorf("%s: attributes or buckets are not sorted", in.Name)
		}
		if (in.Kind == telemetry.Histogram) != (len(in.Buckets) > 0) {
			t.Errorf("%s: a %s with %d buckets", in.Name, in.Kind, len(in.Buckets))
		}
		if !strings.HasSuffix(in.Description, ".") || strings.ContainsAny(in.Description, "|\n") {
			t.Errorf("%s: description %q is no sentence that fits into a table", in.Name, in.Description)
		}
	}
	all[0].Attributes[0] = "changed"
	if telemetry.Instruments()[0].Attributes[0] == "changed" {
		t.Error("the table is shared with its caller")
	}
}
