package admin

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A piece is a part of a shown payload; Class says how it looks. Templates escape the text.
type piece struct{ Class, Text string }

const (
	// maxShown is how much of a payload the page shows.
	maxShown = 256 << 10
	// maxPathName is how much of a name stands in the path of a value.
	maxPathName = 64
)

// A line of a shown payload. Path names the value in it, Changed says that it differs from
// what it is compared with.
type line struct {
	Tokens  []piece
	Path    string
	Changed bool
}

// linesOf lays out JSON over lines and splits it for colours. What is no JSON is shown as it
// is, and what is no text is not shown.
func linesOf(data []byte) []line {
	if len(data) == 0 {
		return []line{{Tokens: []piece{{"code-mark", "(empty)"}}}}
	}
	if !json.Valid(data) {
		if !utf8.Valid(data) {
			return []line{{Tokens: []piece{{"code-mark", "(" + formatBytes(int64(len(data))) + " that are no text)"}}}}
		}
		return linesFrom(shorten([]piece{{"", formatKeyLines(string(data))}}))
	}
	return linesFrom(shorten(splitJSON(layOut(data, maxShown))))
}

// layOut is json.Indent for valid JSON, but ends soon after so many bytes: what is deeply
// nested takes many times its size when it is indented.
func layOut(data []byte, most int) string {
	var b strings.Builder
	depth, opened := 0, false
	newline := func() {
		b.WriteByte('\n')
		for range depth {
			b.WriteString("  ")
		}
	}
	for i := 0; i < len(data) && b.Len() <= most; i++ {
		c := data[i]
		if strings.IndexByte(" \t\r\n", c) >= 0 {
			continue
		}
		closes := c == '}' || c == ']'
		if opened && !closes {
			depth++
			newline()
		}
		if closes && !opened {
			depth--
			newline()
		}
		opened = c == '{' || c == '['
		switch c {
		case '"':
			end := endOfString(data[i:])
			b.Write(data[i : i+min(end, most+1)])
			i += end - 1
		case ',':
			b.WriteByte(c)
			newline()
		case ':':
			b.WriteString(": ")
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// endOfString finds what lies behind the string that a text begins with; one that was cut
// ends with the text.
func endOfString[T string | []byte](text T) int {
	for end := 1; end < len(text); end++ {
		switch text[end] {
		case '"':
			return end + 1
		case '\\':
			end++
		}
	}
	return len(text)
}

// linesFrom cuts tokens at line breaks, and finds the paths of values by the indentation.
func linesFrom(tokens []piece) []line {
	lines := []line{{}}
	for _, t := range tokens {
		for i, part := range strings.Split(t.Text, "\n") {
			if i > 0 {
				lines = append(lines, line{})
			}
			if l := &lines[len(lines)-1]; part != "" {
				l.Tokens = append(l.Tokens, piece{t.Class, part})
			}
		}
	}
	var above []string // names of the lines that the current one stands in
	index := make(map[string]int)
	for i := range lines {
		text := lines[i].text()
		depth := (len(text) - len(strings.TrimLeft(text, " "))) / 2
		above = above[:min(depth, len(above))]
		name := ""
		for _, t := range lines[i].Tokens {
			if t.Class == "code-name" {
				name = strings.Trim(t.Text, `"`)
				break
			}
		}
		if len(name) > maxPathName { // each line below it has it in its path
			name = fmt.Sprintf("%s%08x", cut(name, maxPathName), crc32.ChecksumIEEE([]byte(name)))
		}
		if name == "" { // an element of an array, or a bracket
			parent := strings.Join(above, ".")
			name = strconv.Itoa(index[parent])
			if t := strings.TrimSpace(text); t != "" && strings.IndexByte("}]", t[0]) < 0 {
				index[parent]++
			}
		}
		lines[i].Path = strings.TrimPrefix(strings.Join(above, ".")+"."+name, "0.")
		above = append(above, name)
	}
	return lines
}

func (l line) text() string {
	var b strings.Builder
	for _, t := range l.Tokens {
		b.WriteString(t.Text)
	}
	return b.String()
}

// compare marks the lines whose values are not in what was before, and returns their names.
// A name can stand for several values, as a.b does in {"a.b": 1, "a": {"b": 2}}: those are
// compared in their order.
func compare(now, before []line) (names []string) {
	old := make(map[string][]string, len(before))
	for _, l := range before {
		old[l.Path] = append(old[l.Path], strings.TrimSuffix(l.text(), ","))
	}
	for i, l := range now {
		text := strings.TrimSuffix(l.text(), ",")
		trimmed := strings.TrimSpace(text)
		was := old[l.Path]
		if len(was) > 0 {
			old[l.Path] = was[1:]
		}
		if trimmed == "" || strings.IndexByte("}]", trimmed[0]) >= 0 || len(was) > 0 && was[0] == text {
			continue
		}
		now[i].Changed = true
		names = append(names, l.Path)
	}
	return names
}

// splitJSON finds the tokens of valid JSON, whose last string may have been cut.
func splitJSON(text string) []piece {
	const marks = "{}[]:, \n"
	var tokens []piece
	add := func(class, text string) { tokens = append(tokens, piece{class, text}) }
	for len(text) > 0 {
		switch c := text[0]; {
		case c == '"':
			end := endOfString(text)
			class := "code-text"
			if strings.HasPrefix(text[end:], ":") {
				class = "code-name"
			}
			add(class, formatKeyLines(text[:end]))
			text = text[end:]
		case strings.IndexByte(marks, c) >= 0:
			rest := strings.TrimLeft(text, marks)
			add("code-mark", text[:len(text)-len(rest)])
			text = rest
		default:
			end := strings.IndexAny(text, marks)
			if end < 0 {
				end = len(text)
			}
			class := "code-word"
			if c == '-' || '0' <= c && c <= '9' {
				class = "code-number"
			}
			add(class, text[:end])
			text = text[end:]
		}
	}
	return tokens
}

// shorten leaves out what lies behind maxShown, and says so.
func shorten(tokens []piece) []piece {
	left := maxShown
	for i, t := range tokens {
		if len(t.Text) <= left {
			left -= len(t.Text)
			continue
		}
		short := strings.ToValidUTF8(t.Text[:left], "")
		return append(tokens[:i:i], piece{t.Class, short}, piece{"code-mark", "\n… the rest is not shown here; the API has it"})
	}
	return tokens
}

// formatKeyLines is formatKey for text of several lines.
func formatKeyLines(text string) string {
	if !strings.ContainsAny(text, "\n\t") {
		return formatKey(text)
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		parts := strings.Split(line, "\t")
		for j := range parts {
			parts[j] = formatKey(parts[j])
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}
