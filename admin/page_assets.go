package admin

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

// assets are the files of the page. They are written by hand: what stands in the repository
// is what the browser gets.
//
//go:embed assets
var assets embed.FS

// asset is a file that the browser loads.
type asset struct {
	contentType string
	tag         string
	data        []byte
}

// loadAssets reads the files that browsers load, by their paths below assets.
func loadAssets() (map[string]asset, error) {
	files := make(map[string]asset)
	for _, dir := range []string{"assets/css", "assets/js", "assets/icon.svg"} {
		err := fs.WalkDir(assets, dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := assets.ReadFile(name)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(data)
			files[strings.TrimPrefix(name, "assets/")] = asset{
				contentType: typeOf(name), tag: `"` + hex.EncodeToString(sum[:12]) + `"`, data: data,
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// typeOf does not depend on what the machine thinks of file names, but for types that
// assets do not have.
func typeOf(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// serveAsset lets browsers keep the files, and ask each time whether they are still the
// same: a module names others without a version.
func (p *pages) serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := p.assets[r.PathValue("path")]
	if !ok {
		p.h.fail(w, r, noRoute(r))
		return
	}
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("Etag", a.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
}

// loadIcons reads the icons, by their names. They stand in the page itself, where they take
// the colour of the text.
func loadIcons() (map[string]template.HTML, error) {
	entries, err := assets.ReadDir("assets/icons")
	if err != nil {
		return nil, err
	}
	icons := make(map[string]template.HTML, len(entries))
	for _, e := range entries {
		data, err := assets.ReadFile("assets/icons/" + e.Name())
		if err != nil {
			return nil, err
		}
		icons[strings.TrimSuffix(e.Name(), ".svg")] = template.HTML(bytes.TrimSpace(data)) // a file of ours
	}
	return icons, nil
}
