package admin

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Bounds of parameters.
const (
	defaultLimit = 50
	maxLimit     = 200
	maxValue     = 1 << 10 // bytes of one value
	maxTypes     = 32
)

// params reads query parameters. It keeps the first fault; what is read after it is zero.
type params struct {
	values url.Values
	err    error
}

// parameters reads the query of a request, which may have nothing but these names. A name
// that is not known is refused: misspelt, it would silently select something else.
func parameters(r *http.Request, names ...string) *params {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &params{err: invalid("query", "is not well-formed: %v", err)}
	}
	p := &params{values: values}
	for name, all := range values {
		if !slices.Contains(names, name) {
			p.fault(name, "is no parameter here; there are: %s", strings.Join(names, ", "))
		}
		if len(all) > 1 && name != "type" || len(all) > maxTypes {
			p.fault(name, "is given %d times", len(all))
		}
		for _, v := range all {
			if len(v) > maxValue {
				p.fault(name, "has %d bytes; at most %d are allowed", len(v), maxValue)
			}
		}
	}
	return p
}

func (p *params) fault(field, format string, args ...any) {
	if p.err == nil {
		p.err = invalid(fmt.Sprintf("%.40s", field), format, args...)
	}
}

func (p *params) has(name string) bool { return p.err == nil && p.values.Has(name) }

func (p *params) text(name string) string {
	if p.err != nil {
		return ""
	}
	return p.values.Get(name)
}

// number reads a number from least to most; none is otherwise.
func (p *params) number(name string, otherwise, least, most int) int {
	if p.text(name) == "" {
		return otherwise
	}
	n, err := strconv.Atoi(p.text(name))
	if err != nil || n < least || n > most {
		p.fault(name, "is %.40q; give a number from %d to %d", p.text(name), least, most)
		return otherwise
	}
	return n
}

func (p *params) limit() int { return p.number("limit", defaultLimit, 1, maxLimit) }

// newestFirst reads the order; none is otherwise.
func (p *params) newestFirst(otherwise bool) bool {
	switch p.text("order") {
	case "":
		return otherwise
	case "newest":
		return true
	case "oldest":
	default:
		p.fault("order", `is %.40q; use "newest" or "oldest"`, p.text("order"))
	}
	return false
}

// point reads a point in time; none is the zero Point.
func (p *params) point(name string, s *event.Stream) store.Point {
	if p.text(name) == "" {
		return store.Point{}
	}
	at, err := parsePoint(name, p.text(name), s)
	if err != nil && p.err == nil {
		p.err = err
	}
	return at
}

// parsePoint reads "head", a position, a time in RFC 3339, or, when there is a stream,
// "version:7".
func parsePoint(field, text string, s *event.Stream) (store.Point, error) {
	if text == "head" {
		return store.AtHead(), nil
	}
	if v, ok := strings.CutPrefix(text, "version:"); ok && s != nil {
		n, err := strconv.ParseUint(v, 10, 63)
		if err != nil || n == 0 {
			return store.Point{}, invalid(field, "is %.40q; versions are numbers from 1", text)
		}
		return store.AtVersion(*s, n), nil
	}
	var pos event.Position
	if pos.UnmarshalText([]byte(text)) == nil {
		return store.AtPosition(pos), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return store.AtTime(t), nil
	}
	more := ""
	if s != nil {
		more = ` or a version such as "version:7"`
	}
	return store.Point{}, invalid(field, `is %.40q; give "head", a position, a time such as 2026-01-31T08:00:00Z%s`, text, more)
}

// A mark says where a listing by key ended. As a cursor it is opaque; it holds no secret.
type mark struct {
	Kind     string         `json:"k"` // of listing
	Key      string         `json:"a"`
	Position event.Position `json:"p,omitempty"`
}

func (m mark) cursor() string {
	b, _ := json.Marshal(m) // strings and a number: it cannot fail
	return base64.RawURLEncoding.EncodeToString(b)
}

// after reads the cursor of a listing; none is the zero mark.
func (p *params) after(kind string) (m mark) {
	text := p.text("after")
	if text == "" {
		return m
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil || m.Kind != kind || m.Key == "" {
		p.fault("after", "is no cursor of this listing; use one as it came in a page")
		return mark{}
	}
	return m
}
