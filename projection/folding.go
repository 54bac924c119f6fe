package projection

import (
	"slices"

	"github.com/riffle-go/riffle/event"
)

// Folding is one fold of a model over states of type S. Make it with [Fold], [FoldBy] or
// [FoldAny].
//
// A fold changes the state and does nothing else: it runs again in every retry, rebuild and
// Load. It must not keep the state or parts of it, nor depend on the clock. Several folds
// of one event run in the order of their definition; an error of one undoes all of that
// event for that key.
type Folding[S any] struct {
	takes taken
	// keys is set when the keys come from the payload.
	keys func(ev event.Event) ([]string, error)
	// run folds the event; with key, only if that is one of the payload's keys.
	run func(s *S, key *string, ev event.Event) error
}

// Fold folds events with payload E. The state is that of the event's key: the id of its
// stream, or what Options.Key says.
func Fold[S any, E event.Payload](f func(s *S, e E, ev event.Event) error) Folding[S] {
	return Folding[S]{
		takes: typeOf[E](f != nil),
		run: func(s *S, _ *string, ev event.Event) error {
			e, err := event.Decode[E](ev)
			if err != nil {
				return err
			}
			return f(s, e, ev)
		},
	}
}

// FoldBy folds events with payload E into the states that keys names: none, one, or
// several, at most 1,000; naming a key twice counts once. keys must be a pure function.
func FoldBy[S any, E event.Payload](keys func(e E, ev event.Event) []string, f func(s *S, e E, ev event.Event) error) Folding[S] {
	return Folding[S]{
		takes: typeOf[E](keys != nil && f != nil),
		keys: func(ev event.Event) ([]string, error) {
			e, err := event.Decode[E](ev)
			if err != nil {
				return nil, err
			}
			return keys(e, ev), nil
		},
		run: func(s *S, key *string, ev event.Event) error {
			e, err := event.Decode[E](ev)
			if err != nil {
				return err
			}
			if key != nil && !slices.Contains(keys(e, ev), *key) {
				return nil
			}
			return f(s, e, ev)
		},
	}
}

// FoldAny folds all events of an aggregate as they are stored, also those that have a fold
// of their own. ev.Data must not be modified, nor kept in the state without a copy.
func FoldAny[S any](a event.Aggregate, f func(s *S, ev event.Event) error) Folding[S] {
	return Folding[S]{
		takes: anyOf(f != nil, a),
		run:   func(s *S, _ *string, ev event.Event) error { return f(s, ev) },
	}
}
