package online

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/api"
)

// service answers with one subscription after the other; the last one stays.
type service struct {
	states []api.Subscription
	asked  int
	posted []string
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodPost {
		s.posted = append(s.posted, r.URL.EscapedPath())
		_, _ = fmt.Fprint(w, `{"verb":"rebuild"}`)
		return
	}
	now := s.states[min(s.asked, len(s.states)-1)]
	s.asked++
	if err := json.NewEncoder(w).Encode(now); err != nil {
		panic(err)
	}
}

// run runs a command against a service.
func run(t *testing.T, s *service, l *Local, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	l.Client = api.Within(s)
	l.Close = func() error { return nil }
	env := &Env{Open: func(context.Context) (*Local, error) { return l, nil }}
	root := &cobra.Command{SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(env.Actions()...)
	var out, errs bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func model(generation uint32, rebuild *api.Rebuild) api.Subscription {
	return api.Subscription{Name: "a/b", Kind: "model", Head: 40_000, Generation: generation, Position: 40_000, Rebuild: rebuild}
}

func TestARebuildShowsItsProgressUntilTheSwitch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{states: []api.Subscription{model(0, nil), model(0, nil)}}
		for i := range 80 { // 20 s
			s.states = append(s.states, model(0, &api.Rebuild{Generation: 1, Position: 500, Progress: float64(i) / 80, State: "rebuilding"}))
		}
		s.states = append(s.states, model(1, nil))
		stdout, stderr, err := run(t, s, &Local{}, "rebuild", "a/b", "--confirm", "a/b")
		if err != nil || stdout != "a/b is rebuilt: generation 1 at position 40000\n" {
			t.Errorf("%q, %v", stdout, err)
		}
		if n := strings.Count(stderr, "rebuild: 500 of 40,000 events (1 %), "); n != 4 {
			t.Errorf("%d lines of progress in 20 s, want 4:\n%s", n, stderr)
		}
		if len(s.posted) != 1 || s.posted[0] != "/api/v1/subscriptions/a%2Fb/rebuild" {
			t.Errorf("posted to %q", s.posted)
		}
	})
}

func TestARebuildThatCannotEndSaysWhy(t *testing.T) {
	t.Parallel()
	halted := model(0, &api.Rebuild{Generation: 1, State: "halted", Error: &api.Failure{Text: "bad event"}})
	paused := model(0, nil)
	paused.Paused = "lunch"
	for _, c := range []struct {
		now  api.Subscription
		want string
	}{
		{halted, "the rebuild has halted, the model in use goes on: bad event"},
		{paused, "a/b was paused meanwhile (lunch)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &service{states: []api.Subscription{model(0, nil), model(0, nil), c.now}}
			_, _, err := run(t, s, &Local{}, "rebuild", "a/b", "--confirm", "a/b")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %s", err, c.want)
			}
		})
	}
}

func TestTheEndOfTheEngineIsTheEndOfTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		failed := errors.New("store failed")
		s := &service{states: []api.Subscription{model(0, nil)}}
		_, _, err := run(t, s, &Local{Run: func(context.Context) error { return failed }}, "rebuild", "a/b", "--confirm", "a/b")
		if !errors.Is(err, failed) {
			t.Errorf("%v", err)
		}
		s = &service{states: []api.Subscription{model(0, nil)}}
		_, _, err = run(t, s, &Local{Run: func(context.Context) error { return nil }}, "rebuild", "a/b", "--confirm", "a/b")
		if err == nil || !strings.Contains(err.Error(), "the engine ended before the rebuild did") {
			t.Errorf("%v", err)
		}
	})
}

func TestASinkIsRebuiltWhenItIsWhereItWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{states: []api.Subscription{
			{Name: "rows", Kind: "sink", Head: 9, Position: 9},
			{Name: "rows", Kind: "sink", Head: 9, Position: 0, Backlog: 9},
			{Name: "rows", Kind: "sink", Head: 9, Position: 4, Backlog: 5},
			{Name: "rows", Kind: "sink", Head: 9, Position: 9},
		}}
		stdout, _, err := run(t, s, &Local{}, "rebuild", "rows", "--confirm", "rows")
		if err != nil || stdout != "rows is rebuilt: generation 0 at position 9\n" || s.asked != 5 {
			t.Errorf("%q, %v after %d looks", stdout, err, s.asked)
		}
	})
}
