package admin

import (
	"net/url"
	"strings"
)

// All pages lie side by side, and what they are about is in the query: links are the same
// everywhere, under any prefix, and names may hold any text.

// link returns a relative link to a page; pairs are names and values, empty values are left
// out.
func link(page string, pairs ...string) string {
	var b strings.Builder
	b.WriteString(page)
	between := byte('?')
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		b.WriteByte(between)
		b.WriteString(url.QueryEscape(pairs[i]))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(pairs[i+1]))
		between = '&'
	}
	return b.String()
}

// with returns the query of a page with some values changed; empty ones are removed.
func with(q url.Values, pairs ...string) url.Values {
	changed := make(url.Values, len(q))
	for name, values := range q {
		changed[name] = values
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if changed.Del(pairs[i]); pairs[i+1] != "" {
			changed.Set(pairs[i], pairs[i+1])
		}
	}
	return changed
}
