package display

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Quote returns s as it is when every character of it can be seen, and as a Go string in
// double quotes when not. Unquote reads both.
func Quote(s string) string {
	if s == "" || s[0] == '"' || !printable(s) || strings.TrimSpace(s) != s {
		return strconv.Quote(s)
	}
	return s
}

// Unquote reads what Quote writes: a string in double quotes, else the text as it is.
func Unquote(s string) (string, error) {
	if !strings.HasPrefix(s, `"`) {
		return s, nil
	}
	u, err := strconv.Unquote(s)
	if err != nil {
		return "", fmt.Errorf(`%s begins with a double quote but is no Go string; write it as in "a\x00b"`, s)
	}
	return u, nil
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// Line returns text on one line, with what cannot be seen as an escape.
func Line(s string) string {
	if printable(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		i += n
	}
	return b.String()
}

// Time returns a time in UTC with milliseconds, as times are stored; "-" for none.
func Time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// Or returns s, or a dash when there is nothing to show.
func Or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
