package admin_test

import (
	"fmt"
	"strconv"
	"strings"
)

type yamlLine struct {
	indent int
	text   string
}

func readYAML(text string) m {
	var lines []yamlLine
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		lines = append(lines, yamlLine{len(line) - len(strings.TrimLeft(line, " ")), trimmed})
	}
	v, rest := yamlBlock(lines, 0)
	if len(rest) > 0 {
		panic(fmt.Sprintf("YAML beyond the tests: %q", rest[0].text))
	}
	return v.(m)
}

// yamlBlock reads what is indented by at least indent.
func yamlBlock(lines []yamlLine, indent int) (any, []yamlLine) {
	lines = skipBlank(lines)
	if strings.HasPrefix(lines[0].text, "- ") {
		var list []any
		for len(lines) > 0 && lines[0].indent == indent && strings.HasPrefix(lines[0].text, "- ") {
			item := strings.TrimPrefix(lines[0].text, "- ")
			if key, value, ok := strings.Cut(item, ":"); ok && !strings.HasPrefix(item, "{") {
				nested := append([]yamlLine{{indent + 2, key + ":" + value}}, lines[1:]...)
				var v any
				v, lines = yamlBlock(nested, indent+2)
				list = append(list, v)
				continue
			}
			list, lines = append(list, yamlScalar(item)), skipBlank(lines[1:])
		}
		return list, lines
	}
	out := m{}
	for len(lines) > 0 && lines[0].indent == indent {
		key, value, ok := strings.Cut(lines[0].text, ":")
		if !ok {
			panic(fmt.Sprintf("no key in %q", lines[0].text))
		}
		key = fmt.Sprint(yamlScalar(key))
		value = strings.TrimSpace(value)
		lines = lines[1:]
		switch value {
		case "|":
			for len(lines) > 0 && (lines[0].text == "" || lines[0].indent > indent) {
				lines = lines[1:]
			}
			out[key] = "text"
		case "":
			next := skipBlank(lines)
			out[key], lines = yamlBlock(next, next[0].indent)
		default:
			out[key] = yamlScalar(value)
		}
		lines = skipBlank(lines)
	}
	return out, lines
}

func skipBlank(lines []yamlLine) []yamlLine {
	for len(lines) > 0 && lines[0].text == "" {
		lines = lines[1:]
	}
	return lines
}

func yamlScalar(text string) any {
	text = strings.TrimSpace(text)
	v, rest := yamlFlow(text)
	if strings.TrimSpace(rest) != "" {
		return text // plain text with punctuation
	}
	return v
}

// yamlFlow reads { … }, [ … ], "…" or a plain word.
func yamlFlow(text string) (any, string) {
	text = strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(text, "{"):
		out := m{}
		for text = strings.TrimSpace(text[1:]); !strings.HasPrefix(text, "}"); text = strings.TrimSpace(strings.TrimPrefix(text, ",")) {
			key, rest, _ := strings.Cut(text, ":")
			out[strings.Trim(strings.TrimSpace(key), `"`)], text = yamlFlow(rest)
			text = strings.TrimSpace(text)
		}
		return out, text[1:]
	case strings.HasPrefix(text, "["):
		list := []any{}
		for text = strings.TrimSpace(text[1:]); !strings.HasPrefix(text, "]"); text = strings.TrimSpace(strings.TrimPrefix(text, ",")) {
			var v any
			v, text = yamlFlow(text)
			list, text = append(list, v), strings.TrimSpace(text)
		}
		return list, text[1:]
	case strings.HasPrefix(text, `"`):
		end := strings.Index(text[1:], `"`) + 1
		return text[1:end], text[end+1:]
	}
	end := strings.IndexAny(text, ",}]")
	if end < 0 {
		end = len(text)
	}
	word := strings.TrimSpace(text[:end])
	if n, err := strconv.Atoi(word); err == nil {
		return n, text[end:]
	}
	return word, text[end:]
}
