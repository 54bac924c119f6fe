package program_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
)

func TestTheDefaultScheduleOfAttempts(t *testing.T) {
	t.Parallel()
	type step struct {
		pause time.Duration
		hold  bool
	}
	want := []step{
		{200 * time.Millisecond, true}, {800 * time.Millisecond, true},
		{5 * time.Second, false}, {15 * time.Second, false}, {45 * time.Second, false}, {135 * time.Second, false},
		{405 * time.Second, false}, {1215 * time.Second, false}, {time.Hour, false},
	}
	for i, w := range want {
		pause, hold, more := program.DefaultRetry.Next(i + 1)
		if (step{pause, hold}) != w || !more {
			t.Errorf("after %d failures: %v, hold %t, more %t; want %v", i+1, pause, hold, more, w)
		}
	}
	if _, _, more := program.DefaultRetry.Next(10); more {
		t.Error("after 10 failures there is an 11th attempt")
	}
}

func TestPausesNeverExceedMax(t *testing.T) {
	t.Parallel()
	r := program.Retry{Attempts: 1 << 30, Initial: time.Second, Max: 3 * time.Second, Factor: 1e300}
	for _, failed := range []int{1, 2, 3, 4, 5, 100, 1 << 20} {
		if pause, _, more := r.Next(failed); pause > r.Max || pause <= 0 || !more {
			t.Errorf("after %d failures: %v, more %t", failed, pause, more)
		}
	}
}

func TestOneAttemptIsNoRetry(t *testing.T) {
	t.Parallel()
	if _, _, more := (program.Retry{Attempts: 1}).Next(1); more {
		t.Error("there is a second attempt")
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	plain := errors.New("no")
	for _, c := range []struct {
		name string
		err  error
		want program.Verdict
	}{
		{"a plain error is tried again", plain, program.Verdict{}},
		{"later", &program.Steer{Action: program.Later, After: time.Hour, Err: plain}, program.Verdict{Action: program.Later, After: time.Hour}},
		{"a negative time is now", &program.Steer{Action: program.Later, After: -1, Err: plain}, program.Verdict{Action: program.Later}},
		{"wrapped", fmt.Errorf("send: %w", &program.Steer{Action: program.Park, Err: plain}), program.Verdict{Action: program.Park, Counts: true}},
		{"the outermost counts", &program.Steer{Action: program.Skip, Err: &program.Steer{Action: program.Halt}}, program.Verdict{Action: program.Skip, Counts: true}},
		{"halt", &program.Steer{Action: program.Halt}, program.Verdict{Action: program.Halt, Counts: true}},
		{"delete outside of a fold", &program.Steer{Action: program.Delete}, program.Verdict{Action: program.Park, Counts: true}},
		{"decode errors count", fmt.Errorf("x: %w", &event.DecodeError{Err: plain}), program.Verdict{Counts: true}},
		{"unhandled events count", &program.UnhandledError{}, program.Verdict{Counts: true}},
	} {
		if got := program.Judge(c.err); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

type typedError struct{}

func (typedError) Error() string     { return "typed" }
func (typedError) ErrorType() string { return "smtp" }

func TestASteerTellsItsReason(t *testing.T) {
	t.Parallel()
	s := &program.Steer{Action: program.Park, Err: typedError{}}
	if s.Error() != "typed" || s.ErrorType() != "smtp" || !errors.Is(s, typedError{}) {
		t.Errorf("%q %q", s.Error(), s.ErrorType())
	}
	for _, a := range []program.Action{program.Later, program.Park, program.Skip, program.Halt, program.Delete} {
		bare := &program.Steer{Action: a}
		if bare.Error() == "" || bare.ErrorType() != a.String() {
			t.Errorf("%v without a reason: %q %q", a, bare.Error(), bare.ErrorType())
		}
	}
}
