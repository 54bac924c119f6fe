package browsertest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// axe-core, the rules of accessibility, is fetched when the tests run. The package that npm
// brings must be this one.
const (
	axeVersion = "4.14.1"
	axeSum     = "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745" // SHA-256 of the tarball
)

// axe returns the script of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "riffle-browsertest")
	tarball := filepath.Join(dir, "axe-core-"+axeVersion+".tgz")
	data, err := os.ReadFile(tarball)
	if err != nil || sum(data) != axeSum {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		cmd := exec.Command("npm", "pack", "--silent", "--pack-destination", dir, "axe-core@"+axeVersion)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s", err, out)
		}
		if data, err = os.ReadFile(tarball); err != nil {
			return "", err
		}
	}
	if got := sum(data); got != axeSum {
		return "", fmt.Errorf("%s has the sum %s, not %s", tarball, got, axeSum)
	}
	return unpack(data, "package/axe.min.js")
})

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func unpack(tarball []byte, name string) (string, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(zipped); ; {
		file, err := files.Next()
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		if file.Name == name {
			content, err := io.ReadAll(files)
			return string(content), err
		}
	}
}

// finding is a rule that a page breaks.
type finding struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"`
	Help   string   `json:"help"`
	Where  []string `json:"where"`
}

// accessible fails the test when axe-core finds something serious or critical.
func (b *tab) accessible(what string) {
	b.t.Helper()
	source, err := axe()
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			needs(b.t, "npm", "install it, it fetches axe-core")
		}
		b.t.Fatalf("axe-core: %v", err)
	}
	eval[bool](b, source+"; true")
	for _, f := range eval[[]finding](b, `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) => ({
		id: v.id, impact: v.impact ?? "", help: v.help, where: v.nodes.map((n) => n.target.join(" ") + ": " + (n.any.concat(n.all, n.none)[0]?.message ?? "")).slice(0, 5)})))`) {
		if f.Impact == "serious" || f.Impact == "critical" {
			b.t.Errorf("%s: axe-core, %s: %s (%s)\n\t%s", what, f.Impact, f.Help, f.ID, strings.Join(f.Where, "\n\t"))
		} else {
			b.t.Logf("%s: axe-core, %s: %s (%s)\n\t%s", what, f.Impact, f.Help, f.ID, strings.Join(f.Where, "\n\t"))
		}
	}
}
