package display

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"
)

// How often progress is shown.
const (
	terminalEvery = 100 * time.Millisecond
	lineEvery     = 5 * time.Second
)

// Progress tells how far a long job is. In a terminal it keeps one line up to date; else
// it writes a plain line every few seconds. It is used by one goroutine.
type Progress struct {
	w        io.Writer
	terminal bool
	what     string
	number   func(uint64) string
	unit     string
	started  time.Time
	shown    time.Time // when it was last written
	dirty    bool      // the terminal's line is not empty
}

// Count shows numbers of things.
func Count(n uint64) string { return humanize.Comma(int64(n)) }

// Plural shows a number of things, one or many.
func Plural(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return Count(n) + " " + thing + "s"
}

// Bytes shows sizes.
func Bytes(n uint64) string { return humanize.IBytes(n) }

// NewProgress begins a job. number is Count or Bytes, and unit, which may be empty, stands
// behind the numbers.
func NewProgress(w io.Writer, what string, number func(uint64) string, unit string) *Progress {
	f, ok := w.(*os.File)
	return newProgress(w, ok && term.IsTerminal(int(f.Fd())), what, number, unit)
}

func newProgress(w io.Writer, terminal bool, what string, number func(uint64) string, unit string) *Progress {
	now := time.Now()
	p := &Progress{w: w, terminal: terminal, what: what, number: number, unit: unit, started: now, shown: now}
	if p.unit != "" {
		p.unit = " " + p.unit
	}
	return p
}

// Update says how much is done. A total of 0 is not known.
func (p *Progress) Update(done, total uint64) {
	now := time.Now()
	every := lineEvery
	if p.terminal {
		every = terminalEvery
	}
	if now.Sub(p.shown) < every {
		return
	}
	p.shown = now
	p.write(p.text(done, total, now.Sub(p.started)))
}

// Note writes a remark as its own line, whatever the time is.
func (p *Progress) Note(text string) {
	p.Clear()
	fmt.Fprintf(p.w, "%s: %s\n", p.what, text)
}

// Clear removes the line of a terminal, before other output and at the end.
func (p *Progress) Clear() {
	if p.dirty {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.dirty = false
	}
}

// Elapsed is the time since the beginning.
func (p *Progress) Elapsed() time.Duration { return time.Since(p.started) }

func (p *Progress) write(text string) {
	if !p.terminal {
		fmt.Fprintln(p.w, text)
		return
	}
	p.dirty = true
	fmt.Fprintf(p.w, "\r\x1b[K%s", text)
}

func (p *Progress) text(done, total uint64, elapsed time.Duration) string {
	rate := float64(done) / elapsed.Seconds()
	if total == 0 {
		return fmt.Sprintf("%s: %s%s, %s/s", p.what, p.number(done), p.unit, p.number(uint64(rate)))
	}
	s := fmt.Sprintf("%s: %s of %s%s (%d %%), %s/s", p.what, p.number(done), p.number(total), p.unit,
		uint64(100*(float64(done)/float64(total))), p.number(uint64(rate)))
	if done > 0 && done < total {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		s += ", " + max(left.Round(time.Second), time.Second).String() + " left"
	}
	return s
}
