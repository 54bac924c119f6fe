package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// promised are the figures of the store that scripts and pages name. One that is missing here is new: add
// it. One that is missing in the output was lost.
var promised = []string{
	"append.sync.g1", "append.sync.g8", "append.sync.g64", "append.sync.g256", "append.sync.g64.slowdisk",
	"append.p99.g64", "append.nosync.g64", "append.g64.readers2", "append.g8.idle1000",
	"read.all.cached", "read.all.uncached", "read.page100.deep", "read.filter5",
	"open.large", "write.amplification", "disk.payload", "memory.streams1m",
	"sqlite.append.g64", "sqlite.read", "bbolt.append.g64", "bbolt.read", "bbolt.append.g64.binary", "bbolt.read.binary",
}

// promisedRuntime are those of the runtime.
var promisedRuntime = []string{
	"model.catchup", "effect.catchup", "effect.delay", "fanout.100",
	"idle.1000.cpu", "idle.1000.reads", "idle.1000.heap", "state.memory", "rebuild.cost",
}

// mayBeZero are figures of which nothing is the best value.
var mayBeZero = []string{"idle.1000.reads"}

// tiny runs the command with sizes that only show that it works.
func tiny(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	args = append([]string{"-n", "2000", "-runs", "1", "-time", "10ms", "-pause", "1ms", "-dir", t.TempDir()}, args...)
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEveryFigureOfTheStoreIsOneJSONObject(t *testing.T) {
	t.Parallel()
	names := figuresAsJSON(t, "-run", "store")
	if len(mattnFigures()) == 0 && !slices.Equal(names, promised) {
		t.Errorf("figures\n%q\nwant\n%q", names, promised)
	}
}

func TestEveryFigureOfTheRuntimeIsOneJSONObject(t *testing.T) {
	t.Parallel()
	names := figuresAsJSON(t, "-run", "runtime")
	if !slices.Equal(names, promisedRuntime) {
		t.Errorf("figures\n%q\nwant\n%q", names, promisedRuntime)
	}
}

// figuresAsJSON runs figures, looks at each line, and returns the names.
func figuresAsJSON(t *testing.T, args ...string) (names []string) {
	t.Helper()
	for line := range strings.Lines(tiny(t, append(args, "-json")...)) {
		var r result
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		var keys map[string]any
		if err := json.Unmarshal([]byte(line), &keys); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"name", "value", "unit", "yardstick", "yardstick_value", "ratio", "lo", "hi", "pairs", "cores", "better", "ok"} {
			if _, ok := keys[key]; !ok {
				t.Errorf("%s has no %q: %s", r.Name, key, line)
			}
		}
		for _, v := range []float64{r.Value, r.YardstickValue, r.Ratio, r.Lo, r.Hi} {
			if zero := v == 0 && slices.Contains(mayBeZero, r.Name); !(v > 0) && !zero || math.IsInf(v, 0) {
				t.Errorf("%s: a number is not finite and positive: %s", r.Name, line)
			}
		}
		if r.Unit == "" || r.Yardstick == "" || r.Pairs < 1 || r.Cores < 1 || r.Lo > r.Ratio || r.Hi < r.Ratio {
			t.Errorf("%s: %s", r.Name, line)
		}
		names = append(names, r.Name)
	}
	return names
}

func TestTheTableHasALinePerFigure(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(tiny(t, "-run", "write.amp|disk.pay")), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[1], "write.amplification ") || !strings.HasPrefix(lines[2], "disk.payload ") {
		t.Errorf("%q", lines)
	}
}

func TestTheMarkdownSectionIsMarkedAsGenerated(t *testing.T) {
	t.Parallel()
	out := tiny(t, "-run", "disk.payload", "-markdown")
	if !strings.HasPrefix(out, markdownBegin("disk.payload")) || !strings.HasSuffix(out, markdownEnd+"\n") || !strings.Contains(out, "| `disk.payload` |") {
		t.Error(out)
	}
}

func TestAMissedBoundFailsTheCheckAlone(t *testing.T) {
	t.Parallel()
	ratio := func(v float64) figure {
		return figure{name: "x", bound: atLeast(1, 2), run: func(context.Context, *bench) ([]pair, error) { return []pair{{v, 1}}, nil }}
	}
	for _, c := range []struct {
		ratio  float64
		check  bool
		missed bool
	}{{0.9, true, true}, {0.9, false, false}, {1.1, true, false}} {
		cmd := &command{config: shortConfig(), output: jsonLines{}, progress: io.Discard, check: c.check}
		cmd.dir = t.TempDir()
		if err := cmd.measure(t.Context(), []figure{ratio(1.5), ratio(c.ratio)}, io.Discard); errors.Is(err, errMissed) != c.missed {
			t.Errorf("ratio %v, -check %v: %v", c.ratio, c.check, err)
		}
	}
}

func TestAFigureThatFailsIsNotPrinted(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	fails := figure{name: "x", run: func(context.Context, *bench) ([]pair, error) { return nil, broken }}
	var out bytes.Buffer
	cmd := &command{config: shortConfig(), output: jsonLines{}, progress: io.Discard}
	cmd.dir = t.TempDir()
	if err := cmd.measure(t.Context(), []figure{fails}, &out); !errors.Is(err, broken) || out.Len() > 0 {
		t.Errorf("error %v, output %q", err, out.String())
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := run(t.Context(), []string{"-n", "2000", "-runs", "1", "-time", "1ms", "-pause", "0", "-dir", dir, "-run", "append.sync.g1$"}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestProfilesAreWritten(t *testing.T) { // not parallel: a process has one CPU profile
	dir := t.TempDir()
	tiny(t, "-run", "append.sync.g1$", "-profile", dir)
	for _, kind := range []string{"cpu", "allocs", "mutex"} {
		info, err := os.Stat(dir + "/append.sync.g1." + kind + ".pprof")
		if err != nil || info.Size() == 0 {
			t.Errorf("%s profile: %v, %v", kind, info, err)
		}
	}
}

func TestThePageOfBenchmarksExplainsEveryFigure(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/benchmarks.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, group := range []string{"store", "runtime"} {
		before, generated, begins := strings.Cut(text, markdownBegin(group))
		_, behind, ends := strings.Cut(generated, markdownEnd)
		if !begins || !ends {
			t.Fatalf("docs/benchmarks.md has no generated section %q", markdownBegin(group))
		}
		text = before + behind
	}
	for _, name := range slices.Concat(promised, promisedRuntime) {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/benchmarks.md does not say what %s means", name)
		}
	}
}

func TestFlagsAreChecked(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-n", "10"}, {"-runs", "0"}, {"-time", "0s"}, {"-pause", "-1s"}, {"-json", "-markdown"}, {"store"}, {"-nonsense"},
		{"-run", "nothing-like-this"}, {"-run", "("}, {"-dir", "/nowhere/at/all"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestExplicitFlagsWinOverShort(t *testing.T) {
	t.Parallel()
	c, err := parse([]string{"-short", "-runs", "3", "-dir", "d", "-profile", "p"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := shortConfig()
	want.runs, want.dir, want.profiles = 3, "d", "p"
	if c.config != want {
		t.Errorf("%+v, want %+v", c.config, want)
	}
}

func TestFiguresAreSelectedByGroupAndByTheBeginningOfTheirName(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]int{
		"store": len(promised), "": len(promised), "append.sync": 5, "append.sync.g64$": 1, "open.large": 1, "sync": 0,
	} {
		figures, err := selectFigures(storeFigures(), pattern)
		if n := len(figures) - len(mattnFigures())*min(1, len(figures)/len(promised)); n != want || (err == nil) != (want > 0) {
			t.Errorf("%q selects %d figures, want %d (%v)", pattern, n, want, err)
		}
	}
}
