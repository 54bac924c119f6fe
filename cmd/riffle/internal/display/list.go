package display

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"
)

// Format is how a command writes its result. It is the value of the flag -o.
type Format string

// The formats.
const (
	Table Format = "table"
	JSON  Format = "json" // lists write one object per line
)

// String is the flag's value.
func (f *Format) String() string { return string(*f) }

// Type names the flag's value in the help text.
func (*Format) Type() string { return "table|json" }

// Set reads the flag's value.
func (f *Format) Set(s string) error {
	switch Format(s) {
	case Table, JSON:
		*f = Format(s)
		return nil
	}
	return fmt.Errorf("use table or json")
}

// flushEvery is how many rows of a table are aligned with each other.
const flushEvery = 200

// List writes records one after the other: as rows of a table, or as JSON objects, one
// per line. It holds a bounded number of rows, so lists may be of any length.
type List struct {
	w     io.Writer
	table *tabwriter.Writer // nil for JSON
	rows  int
}

// NewList begins a list. The columns are the head of the table.
func NewList(w io.Writer, f Format, columns ...string) *List {
	l := &List{w: w}
	if f == Table {
		l.table = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(l.table, strings.Join(columns, "\t"))
	}
	return l
}

// Add writes one record: the value in JSON, the cells in a table. Cells come from Quote,
// Line or numbers: they hold no tabs and no line breaks.
func (l *List) Add(record any, cells ...string) error {
	if l.table == nil {
		return WriteJSON(l.w, record)
	}
	l.rows++
	if _, err := fmt.Fprintln(l.table, strings.Join(cells, "\t")); err != nil {
		return err
	}
	if l.rows%flushEvery == 0 {
		return l.table.Flush()
	}
	return nil
}

// Close writes what is left.
func (l *List) Close() error {
	if l.table == nil {
		return nil
	}
	return l.table.Flush()
}

// WriteJSON writes one value on one line.
func WriteJSON(w io.Writer, v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, escapeJSON(strings.TrimSuffix(b.String(), "\n"))+"\n")
	return err
}

// escapeJSON escapes what JSON allows inside strings and a terminal may obey. Outside of
// strings there are no such characters.
func escapeJSON(s string) string {
	if printable(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsPrint(r) && r != utf8.RuneError:
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x1_0000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
