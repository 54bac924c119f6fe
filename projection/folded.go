package projection

import (
	"context"
	"iter"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// folded is a state that is being folded on demand.
type folded[S any] struct {
	model *Model[S]
	label string  // for errors
	key   *string // nil: all folds of an event, whatever their keys

	value    *S
	position event.Position // everything up to here is in it
	version  uint64         // of first, where there is one
	first    event.Stream
	read     int // events beyond the base
}

// start is the state before the first event.
func (f *folded[S]) start() {
	f.value, f.position, f.version, f.read = newState[S](), 0, 0, 0
}

// from takes a stored state as the base; one that cannot be decoded is an error.
func (f *folded[S]) from(sn store.Snapshot, decode func(store.Snapshot) (*S, error)) error {
	value, err := decode(sn)
	if err != nil {
		return err
	}
	f.value, f.position, f.version, f.read = value, sn.Position, sn.Version, 0
	return nil
}

// see folds one event, or finds that it must be left out: then the state is spoilt and the
// whole fold has to begin again without it.
func (f *folded[S]) see(ev event.Event, without map[event.Position]struct{}) (leaveOut bool, err error) {
	f.read++
	f.position = ev.Position
	if ev.Stream == f.first {
		f.version = ev.Version
	}
	if _, skip := without[ev.Position]; skip {
		return false, nil
	}
	deleted, err := f.model.fold(f.value, f.key, ev)
	switch {
	case err != nil && steers(err, program.Skip):
		return true, nil
	case err != nil:
		return false, &FoldError{Model: f.model.name, Key: f.label, Position: ev.Position, Type: ev.Type(), Err: err}
	case deleted:
		f.value = newState[S]()
	}
	return false, nil
}

// run folds what tail yields into the base that begin sets, without some events. A fold that
// says Skip spoils what it was given, so everything begins again without that event too.
func (f *folded[S]) run(ctx context.Context, without map[event.Position]struct{}, begin func() error, tail func(ctx context.Context, after event.Position) iter.Seq2[event.Event, error]) error {
	for {
		if err := begin(); err != nil {
			return err
		}
		spoilt, err := f.pass(tail(ctx, f.position), without)
		if err != nil || spoilt == 0 {
			return err
		}
		without[spoilt] = struct{}{}
	}
}

// pass returns the position of the event that spoilt the state; 0 is none.
func (f *folded[S]) pass(tail iter.Seq2[event.Event, error], without map[event.Position]struct{}) (event.Position, error) {
	for ev, err := range tail {
		if err != nil {
			return 0, err
		}
		if leaveOut, err := f.see(ev, without); leaveOut || err != nil {
			return ev.Position, err
		}
	}
	return 0, nil
}
