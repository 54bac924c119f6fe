package admin

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/worker"
)

// loadTemplates parses the pages: each is layout.html, parts.html and a file of its own that
// defines "main".
func loadTemplates() (map[string]*template.Template, error) {
	icons, err := loadIcons()
	if err != nil {
		return nil, err
	}
	base, err := template.New("layout.html").Funcs(funcs(icons)).ParseFS(assets, "assets/pages/layout.html", "assets/pages/parts.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(assets, "assets/pages/*.html")
	if err != nil {
		return nil, err
	}
	templates := make(map[string]*template.Template)
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(assets, file)
		}
		if err != nil {
			return nil, err
		}
		templates[name] = t
	}
	return templates, nil
}

func funcs(icons map[string]template.HTML) template.FuncMap {
	return template.FuncMap{
		"icon": func(name string) (template.HTML, error) {
			icon, ok := icons[name]
			if !ok {
				return "", fmt.Errorf("admin: no icon %q", name)
			}
			return icon, nil
		},
		"count":   formatCount,
		"rate":    formatRate,
		"bytes":   formatBytes,
		"bytes64": func(n int) string { return formatBytes(int64(n)) },
		"seconds": formatSeconds,
		"time":    formatTime,
		"day":     formatDay,
		"clock":   formatClock,
		"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"ago":     formatAgo,
		"key":     formatKey,
		"lines":   linesOf,
		"link":    link,
		"escape":  url.QueryEscape,
		"badge":   badgeOf,
		"states":  func() []worker.State { return shownStates },
		"dict":    dict,
	}
}

// dict makes the arguments of a part.
func dict(pairs ...any) (map[string]any, error) {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("admin: %v is no name of an argument", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// render writes a page. It is made as a whole first, so that a fault is no half page.
func (p *pages) render(w http.ResponseWriter, r *http.Request, f *frame) {
	var b bytes.Buffer
	err := fmt.Errorf("admin: no template %q", f.Template)
	if t := p.templates[f.Template]; t != nil {
		err = t.ExecuteTemplate(&b, "layout.html", f)
	}
	if err != nil {
		p.h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(f.status)
	_, _ = w.Write(b.Bytes()) // the client is gone
}

// badge is how a state is shown: by colour, icon and word.
type badge struct{ Tone, Icon, Text string }

// shownStates are all states that a badge can have; script takes its badges from the page.
var shownStates = []worker.State{
	worker.Live, worker.CatchingUp, worker.Starting, worker.Rebuilding, worker.Retrying,
	worker.Paused, worker.Halted, worker.Standby, worker.Stopped, engine.Orphaned,
}

func badgeOf(s worker.State) badge {
	switch s {
	case worker.Live:
		return badge{"good", "live", "live"}
	case worker.CatchingUp, worker.Starting, worker.Rebuilding:
		return badge{"busy", "busy", string(s)}
	case worker.Retrying:
		return badge{"warn", "warn", string(s)}
	case worker.Paused:
		return badge{"warn", "pause", string(s)}
	case worker.Halted:
		return badge{"bad", "bad", string(s)}
	default:
		return badge{"idle", "idle", string(s)}
	}
}
