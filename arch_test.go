package riffle_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/riffle-go/riffle"

// floors lists, for each package of the library, the packages of ours that it may import.
// A package that is not listed may not exist: add it here and to the table in
// CONTRIBUTING.md, on the floor where it belongs.
var floors = map[string][]string{
	"":                                {},
	"event":                           {"internal/escape"},
	"internal/escape":                 {},
	"internal/telemetry":              {},
	"internal/handling":               {},
	"internal/crashfs":                {}, // and no list has it: tests alone import it
	"store":                           {"event", "internal/escape", "internal/telemetry", "internal/handling"},
	"store/internal/memdriver":        {"event", "store"},
	"store/pebblestore":               {"event", "store", "internal/escape", "internal/telemetry", "store/pebblestore/internal/fuse"},
	"store/pebblestore/internal/fuse": {},
	"store/storetest":                 {"event", "store"},
	"snapshot":                        {"event", "store"},
	"internal/program":                {"event", "store", "internal/handling"},
	"projection":                      {"event", "store", "snapshot", "internal/program", "internal/handling"},
	"projection/sqlsink":              {"event", "store", "projection", "internal/program", "internal/handling"},
	"projection/projectiontest":       {"event", "store", "snapshot", "projection", "internal/program", "internal/handling"},
	"worker":                          {"event", "store", "snapshot", "projection", "internal/program", "internal/handling", "internal/telemetry"},
	"engine":                          {"event", "store", "snapshot", "projection", "internal/program", "internal/handling", "internal/telemetry", "worker"},
	"admin":                           {"event", "store", "projection", "engine", "worker", "internal/program"},
}

// pebbleOnly may be imported by the embedded driver alone, and by the disk of the tests: a
// program on another driver must not link Pebble.
const pebbleOnly = "github.com/cockroachdb/pebble"

func TestEachFloorImportsOnlyFloorsBelowIt(t *testing.T) {
	t.Parallel()
	seen := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			base := d.Name()
			if path != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "examples" || base == "cmd" || base == "bench" || base == "docs") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		seen++
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." {
			pkg = ""
		}
		allowed, known := floors[pkg]
		if !known {
			t.Errorf("%s: package %q is on no floor: add it to the table in arch_test.go and in CONTRIBUTING.md", path, pkg)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if rel, ours := strings.CutPrefix(imported, module+"/"); ours && !slices.Contains(allowed, rel) {
				t.Errorf("%s imports %s, which is not on a floor below %q: move what it needs down, or take it as a parameter or a small interface", path, rel, pkg)
			}
			if strings.HasPrefix(imported, pebbleOnly) && !strings.HasPrefix(pkg, "store/pebblestore") && pkg != "internal/crashfs" {
				t.Errorf("%s imports Pebble: only store/pebblestore may, so that other drivers do not link it", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatal("no source files found: run the test in the root of the module")
	}
}

// allowedModules are what a program that imports the library gets.
var allowedModules = []string{
	module,
	"github.com/cockroachdb/pebble/v2", "github.com/oklog/ulid/v2", "google.golang.org/protobuf",
	"golang.org/x/sync", "github.com/cenkalti/backoff/v4",
	"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/trace",
}

func TestTheLibraryPullsInOnlyWhatTheDocsSay(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}} {{.ImportPath}}", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	// What the allowed modules need themselves comes with them; what our packages import
	// directly must be one of them.
	direct, err := exec.Command("go", "list", "-f", `{{$p := .ImportPath}}{{range .Imports}}{{$p}} {{.}}{{"\n"}}{{end}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(out) == 0 || len(direct) == 0 {
		t.Fatal("go list printed nothing")
	}
	moduleOf := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 2 {
			moduleOf[f[1]] = f[0]
		}
	}
	for line := range strings.Lines(string(direct)) {
		f := strings.Fields(line)
		if len(f) != 2 {
			continue
		}
		if m := moduleOf[f[1]]; m != "" && !slices.Contains(allowedModules, m) {
			t.Errorf("%s imports %s of module %s: a user of the library would get it too; a new dependency needs a line in docs/dependencies.md and in this test", f[0], f[1], m)
		}
	}
	for _, m := range []string{"go.opentelemetry.io/otel/sdk", "go.opentelemetry.io/otel/sdk/metric", "pgregory.net/rapid", "github.com/anishathalye/porcupine", "go.uber.org/goleak"} {
		for _, got := range moduleOf {
			if got == m {
				t.Errorf("the library links %s, which is for tests", m)
				break
			}
		}
	}
}
