package admin

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A piece is a part of a shown payload; Class says how it looks. Templates escape the text.
type piece struct{ Class, Text string }

// maxShown is how much of a payload the page shows.
const maxShown = 256 << 10

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
	var b bytes.Buffer
	if json.Indent(&b, data, "", "  ") != nil {
		if !utf8.Valid(data) {
			return []line{{Tokens: []piece{{"code-mark", "(" + formatBytes(int64(len(data))) + " that are no text)"}}}}
		}
		return linesFrom(shorten([]piece{{"", formatKeyLines(string(data))}}))
	}
	return linesFrom(shorten(splitJSON(b.String())))
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
func compare(now, before []line) (names []string) {
	old := make(map[string]string, len(before))
	for _, l := range before {
		old[l.Path] = strings.TrimSuffix(l.text(), ",")
	}
	for i, l := range now {
		text := strings.TrimSuffix(l.text(), ",")
		trimmed := strings.TrimSpace(text)
		if was, ok := old[l.Path]; trimmed == "" || strings.IndexByte("}]", trimmed[0]) >= 0 || ok && was == text {
			continue
		}
		now[i].Changed = true
		names = append(names, l.Path)
	}
	return names
}

// splitJSON finds the tokens of valid, laid out JSON.
func splitJSON(text string) []piece {
	var tokens []piece
	add := func(class, text string) {
		if last := len(tokens) - 1; last >= 0 && tokens[last].Class == class {
			tokens[last].Text += text
			return
		}
		tokens = append(tokens, piece{class, text})
	}
	for len(text) > 0 {
		switch c := text[0]; {
		case c == '"':
			end := 1
			for text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end++
			class := "code-text"
			if strings.HasPrefix(text[end:], ":") {
				class = "code-name"
			}
			add(class, formatKeyLines(text[:end]))
			text = text[end:]
		case strings.IndexByte("{}[]:, \n", c) >= 0:
			add("code-mark", text[:1])
			text = text[1:]
		default:
			end := strings.IndexAny(text, "{}[]:, \n")
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
