package projection

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// faults collects what is wrong with a definition.
type faults struct {
	name   string
	broken []error // the definition is of no use
	idle   []error // it cannot run, but be read
}

func (f *faults) err(field, format string, args ...any) error {
	return &store.InvalidError{Field: fmt.Sprintf("%s of projection %q", field, f.name), Reason: fmt.Sprintf(format, args...)}
}

// breaks records a fault that leaves nothing to be used.
func (f *faults) breaks(field, format string, args ...any) {
	f.broken = append(f.broken, f.err(field, format, args...))
}

// holds records a fault that only keeps the projection from running.
func (f *faults) holds(field, format string, args ...any) {
	f.idle = append(f.idle, f.err(field, format, args...))
}

func (f *faults) invalid(field string, err error) {
	if invalid, ok := errors.AsType[*store.InvalidError](err); ok {
		f.breaks(field, "%s", invalid.Reason)
	} else if err != nil {
		f.breaks(field, "%v", err)
	}
}

// settle puts the faults into the program.
func (f *faults) settle(p *program.Program) *program.Program {
	p.Broken = errors.Join(f.broken...)
	p.Fault = errors.Join(p.Broken, errors.Join(f.idle...))
	return p
}

// common checks and fills in what all kinds have.
func (f *faults) common(kind program.Kind, o Options, handled []store.Match) *program.Program {
	f.invalid("Name", event.Aggregate(f.name).Validate())
	f.ranges(o)
	if o.RoutingKey != nil && (len(*o.RoutingKey) > 255 || !utf8.ValidString(*o.RoutingKey)) {
		f.breaks("Options.RoutingKey", "must be at most 255 bytes of UTF-8")
	}
	for i, s := range o.Streams {
		f.invalid(fmt.Sprintf("Options.Streams[%d]", i), s.Validate())
	}
	for i, t := range o.Ignore {
		f.invalid(fmt.Sprintf("Options.Ignore[%d]", i), t.Validate())
	}
	if o.RenamedFrom != "" {
		f.invalid("Options.RenamedFrom", event.Aggregate(o.RenamedFrom).Validate())
		if o.RenamedFrom == f.name {
			f.breaks("Options.RenamedFrom", "is the name itself; leave it empty")
		}
	}
	if len(o.Ignore) > 0 && !o.Strict {
		f.holds("Options.Ignore", "needs Strict; without it unhandled events are not read")
	}

	handled = program.Tidy(handled)
	wanted := program.Restrict(handled, o.Streams)
	if wanted != nil && len(wanted) == 0 {
		if len(handled) == 0 {
			f.breaks("Handlers", "are none; there is nothing to do")
		} else {
			f.breaks("Options.Streams", "has no stream whose events are handled")
		}
	}
	read := wanted
	if o.Strict {
		read = program.Widen(wanted)
	}
	return &program.Program{
		Name: f.name, Kind: kind, Match: read, Handled: wanted, RoutingKey: o.RoutingKey, Strict: o.Strict,
		Start: o.Start, Delay: o.Delay, PageSize: defaultTo(o.PageSize, store.DefaultPageSize), Concurrency: 1,
		Retry: retry(o.Retry), OnFailure: o.OnFailure, OnChange: o.OnChange, ParkUnkeyed: o.ParkUnkeyed,
		Revision: o.Revision, RenamedFrom: o.RenamedFrom,
	}
}

// ranges checks the numbers.
func (f *faults) ranges(o Options) {
	for _, n := range []struct {
		field string
		value int64
	}{
		{"Delay", int64(o.Delay)}, {"PageSize", int64(o.PageSize)}, {"Concurrency", int64(o.Concurrency)},
		{"CommitEvery", int64(o.CommitEvery)}, {"Retry.Attempts", int64(o.Retry.Attempts)},
		{"Retry.Initial", int64(o.Retry.Initial)}, {"Retry.Max", int64(o.Retry.Max)}, {"Revision", int64(o.Revision)},
	} {
		if n.value < 0 {
			f.breaks("Options."+n.field, "is negative; 0 is the default")
		}
	}
	if o.PageSize > store.MaxPageSize {
		f.breaks("Options.PageSize", "is %d, at most %d is allowed", o.PageSize, store.MaxPageSize)
	}
	if o.OnFailure > FailHalt {
		f.breaks("Options.OnFailure", "is %s, which does not exist", o.OnFailure)
	}
	if o.OnChange > ChangeHalt {
		f.breaks("Options.OnChange", "is %s, which does not exist", o.OnChange)
	}
}

// onlyFor reports a setting that the kind does not have.
func (f *faults) onlyFor(set bool, field, kinds string) {
	if set {
		f.holds("Options."+field, "is for %s only; leave it out", kinds)
	}
}

func retry(r Retry) program.Retry {
	out := program.DefaultRetry
	out.Attempts = defaultTo(r.Attempts, out.Attempts)
	out.Initial = defaultTo(r.Initial, out.Initial)
	out.Max = defaultTo(r.Max, out.Max)
	return out
}

func defaultTo[T int | time.Duration](value, standard T) T {
	if value == 0 {
		return standard
	}
	return value
}
