package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const library = "github.com/riffle-go/riffle"

// A program that does not live in this workspace gets the library as a module: as the zip
// that a proxy serves, without the workspace, without replacements, without the nested
// modules. What README shows must build and run there.
func TestTheQuickStartOfTheREADMEWorksOutsideOfTheWorkspace(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile("(?ms)^```go\n(package main\n.*?)^```$").FindSubmatch(readme)
	if program == nil {
		t.Fatal("README.md has no program")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), program[1], 0o644); err != nil {
		t.Fatal(err)
	}
	proxy := t.TempDir()
	goes := outside(t, dir, proxy)
	goes("mod", "init", "example.com/quickstart")
	goes("get", library+"@"+serve(t, proxy, goes("env", "GOMODCACHE")))
	goes("build", "-o", "quickstart", ".")

	run := exec.CommandContext(t.Context(), filepath.Join(dir, "quickstart"))
	run.Dir = dir
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !regexp.MustCompile(`(?m)^[\d/]+ [\d:]+ 100$`).Match(out) {
		t.Errorf("the balance of 100 is not in the output:\n%s", out)
	}
}

// outside returns what runs the go command in dir, as someone does who knows nothing of this
// workspace, and gets the library from the proxy in a directory.
func outside(t *testing.T, dir, proxy string) func(args ...string) string {
	t.Helper()
	upstream, err := exec.CommandContext(t.Context(), "go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	from := (&url.URL{Scheme: "file", Path: filepath.ToSlash(proxy)}).String()
	env := append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod -modcacherw",
		"GOPROXY="+from+","+strings.TrimSpace(string(upstream)),
		"GOPRIVATE=", "GONOPROXY=none", "GONOSUMDB="+library)
	return func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir, cmd.Env = dir, env
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
		}
		return strings.TrimSpace(string(out))
	}
}

// serve puts the library, as it is now, into a directory that is a module proxy, and returns
// its version. The version is new in each run, since the go command keeps what it has once
// seen of one; what it keeps of this one goes with the test.
func serve(t *testing.T, proxy, cache string) (version string) {
	t.Helper()
	version = fmt.Sprintf("v0.0.0-test.%d", time.Now().UnixNano())
	dir := filepath.Join(proxy, filepath.FromSlash(library), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kept, err := filepath.Glob(filepath.Join(cache, "cache", "download", filepath.FromSlash(library), "@v", version+".*"))
		errs := []error{err, os.RemoveAll(filepath.Join(cache, filepath.FromSlash(library)+"@"+version))}
		for _, path := range kept {
			errs = append(errs, os.Remove(path))
		}
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		zip.CreateFromDir(archive, module.Version{Path: library, Version: version}, filepath.Join("..", "..")),
		archive.Close(),
		os.WriteFile(filepath.Join(dir, version+".mod"), mod, 0o644),
		os.WriteFile(filepath.Join(dir, version+".info"), fmt.Appendf(nil, `{"Version":%q}`, version), 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	return version
}
