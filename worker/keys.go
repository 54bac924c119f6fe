package worker

import (
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
)

// keyOf returns the one key of an event, or the stream's id and the reason why it has none.
func (s *session) keyOf(ev event.Event) (string, error) {
	var keys []string
	err := protect(func() (err error) {
		keys, err = s.program.Keys(ev)
		return err
	})
	switch {
	case err != nil:
		return ev.Stream.ID, s.unkeyed(ev, err)
	case len(keys) == 0:
		return "", nil
	}
	return keys[0], nil
}

// unkeyed makes the error of an event whose keys cannot be found.
func (s *session) unkeyed(ev event.Event, err error) error {
	if k, ok := err.(*program.KeyError); ok {
		return k
	}
	return &program.KeyError{Projection: s.program.Name, Position: ev.Position, Type: ev.Type(), Err: err}
}
