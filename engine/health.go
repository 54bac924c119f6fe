package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/riffle-go/riffle/worker"
)

// Health is what probes ask for.
type Health struct {
	// Live is nil unless the process must be restarted: its store has failed or was closed.
	Live error
	// Ready is nil when the engine runs and all projections keep up, see Config.Ready.
	Ready error
	_     struct{}
}

// Health answers from memory. Projections are measured every few seconds.
//
// A projection is not ready while it is behind and makes no progress, and while this
// program may not read it, because newer code has taken over. Rebuilding, standing by
// while another engine works, and a pause are ready.
func (e *Engine) Health() Health {
	h := Health{Live: e.store.Err()}
	ses, _ := e.current()
	switch {
	case h.Live != nil:
		h.Ready = h.Live
		return h
	case ses == nil:
		h.Ready = fmt.Errorf("%w: the engine does not run", ErrUnavailable)
		return h
	case ses.ending():
		h.Ready = fmt.Errorf("%w: the engine drains", ErrUnavailable)
		return h
	}
	var errs []error
	now := time.Now()
	for _, s := range e.supervisors {
		errs = append(errs, s.ready(e.config.Ready, now))
	}
	h.Ready = errors.Join(errs...)
	return h
}

func (s *supervisor) ready(rule Ready, now time.Time) error {
	state, err := s.state()
	m, _ := s.latest()
	switch {
	case m.at.IsZero():
		return &StateError{Projection: s.name, State: worker.Starting, Reason: "it has just begun"}
	case state == worker.Standby && err != nil:
		return err
	case state == worker.Paused:
		return nil
	}
	if backlog, stuck := m.backlog(), m.stuck(now); backlog > rule.Behind && stuck >= rule.NoProgress {
		return &StuckError{Projection: s.name, State: state, Backlog: backlog, Stuck: stuck, Err: err}
	}
	return nil
}

// StuckError says that a projection is behind and makes no progress.
type StuckError struct {
	Projection string
	State      worker.State
	Backlog    uint64
	Stuck      time.Duration
	Err        error // what its worker says; may be nil
	_          struct{}
}

func (e *StuckError) Error() string {
	why := ""
	if e.Err != nil {
		why = ": " + e.Err.Error()
	}
	return fmt.Sprintf("engine: projection %q is %s, %d positions behind, and has made no progress for %v%s", e.Projection, e.State, e.Backlog, e.Stuck.Round(time.Millisecond), why)
}

// ErrorType is the error.type attribute of telemetry.
func (*StuckError) ErrorType() string { return "stuck" }

func (e *StuckError) Unwrap() error { return e.Err }
