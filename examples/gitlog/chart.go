package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The measures of the chart, in pixels.
const (
	width      = 880
	margin     = 24
	labelWidth = 260
	rowHeight  = 22
	barHeight  = 14
	titleSpace = 44
)

// series is a panel of the chart: a horizontal bar for each entry.
type series struct {
	title   string
	color   string
	entries []entry
	value   func(entry) int
}

// writeChart draws the report as an SVG file, completely or not at all.
func writeChart(name, dir string, r report) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".gitlog-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(chart(dir, r))
	if closing := tmp.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Chmod(tmp.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

func chart(dir string, r report) []byte {
	commits := func(e entry) int { return e.Commits }
	panels := []series{
		{"Commits per weekday", "#4e79a7", r.days, commits},
		{"Commits per author", "#59a14f", r.authors, commits},
		{"Lines touched per author", "#f28e2b", r.authors, entry.Churn},
		{"Lines touched per file", "#e15759", r.files, entry.Churn},
	}
	height := margin + titleSpace
	for _, p := range panels {
		height += titleSpace + rowHeight*len(p.entries)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	title := fmt.Sprintf("%s: %d commits, +%d −%d lines", repositoryName(dir), r.total.Commits, r.total.Added, r.total.Deleted)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n", escape(title))
	text(&b, margin, margin+12, `font-size="19" font-weight="bold"`, title)
	y := margin + titleSpace
	for _, p := range panels {
		y = p.draw(&b, y)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// draw draws a panel below y and returns where it ends.
func (p series) draw(b *bytes.Buffer, y int) int {
	text(b, margin, y+16, `font-weight="bold" font-size="15"`, p.title)
	y += titleSpace - 18
	most := 1
	for _, e := range p.entries {
		most = max(most, p.value(e))
	}
	const room = width - 2*margin - labelWidth - 80 // the number goes behind the bar
	for _, e := range p.entries {
		value := p.value(e)
		text(b, margin+labelWidth-8, y+barHeight-2, `text-anchor="end"`, shorten(e.name, 36))
		length := float64(room) * float64(value) / float64(most)
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n", margin+labelWidth, y, length, barHeight, p.color)
		fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="#555">%d</text>`+"\n", float64(margin+labelWidth+6)+length, y+barHeight-2, value)
		y += rowHeight
	}
	return y + 18
}

func text(b *bytes.Buffer, x, y int, attributes, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" %s>%s</text>`+"\n", x, y, attributes, escape(s))
}

// escape makes text of a repository harmless: names may be anything.
func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(printable(s))) // a bytes.Buffer takes everything
	return b.String()
}

// printable replaces what could move a terminal's cursor or a reader's eye.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// shorten keeps the end of a long name, which is what tells files apart.
func shorten(s string, most int) string {
	if n := utf8.RuneCountInString(s); n > most {
		return "…" + string([]rune(s)[n-most+1:])
	}
	return s
}

// repositoryName is how people call a repository, given its git directory.
func repositoryName(dir string) string {
	if filepath.Base(dir) == ".git" {
		dir = filepath.Dir(dir)
	}
	return strings.TrimSuffix(filepath.Base(dir), ".git")
}
