package cli_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/cmd/riffle/cli"
	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T) *engine.Engine {
	t.Helper()
	st, err := pebblestore.OpenMem(&pebblestore.Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	eng, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{balances}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Append(t.Context(), store.Batch{Stream: accounts.Stream("ann"), Events: event.Of(deposited{100})}); err != nil {
		t.Fatal(err)
	}
	return eng
}

// run runs a command over an engine.
func run(t *testing.T, eng *engine.Engine, o *cli.Options, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := cli.New(eng, o)
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetIn(strings.NewReader(""))
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestCommandsWorkBesideARunningEngine(t *testing.T) {
	t.Parallel()
	eng := setup(t)
	ctx, drain := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(ctx) }()
	defer func() {
		drain()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := eng.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"rebuild balances --confirm balances", "balances is rebuilt: generation 1 at position 1\n"},
		{"pause balances --reason x", "balances is paused: x\n"},
		{"resume balances", "balances goes on\n"},
	} {
		out, err := run(t, eng, nil, strings.Fields(c.args)...)
		if err != nil || out != c.want {
			t.Errorf("%s: %q, %v; want %q", c.args, out, err, c.want)
		}
	}
	if err := eng.CatchUp(t.Context()); err != nil {
		t.Errorf("after the commands the engine does not go on: %v", err)
	}
}

func TestARebuildRunsAnEngineThatDoesNotRun(t *testing.T) {
	t.Parallel()
	eng := setup(t)
	if _, err := run(t, eng, nil, "rebuild", "balances", "--confirm", "balances"); err == nil || !strings.Contains(err.Error(), "balances") {
		t.Errorf("a model that never ran: %v", err)
	}
	other, err := engine.New(engine.Config{Store: eng.Store(), Projections: eng.Projections()})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, eng, nil, "rebuild", "balances", "--confirm", "balances")
	if err != nil || out != "balances is rebuilt: generation 1 at position 1\n" {
		t.Errorf("%q, %v", out, err)
	}
	if got, err := balances.Get(t.Context(), eng.Store(), "ann"); err != nil || got.Value.Cents != 100 {
		t.Errorf("after the rebuild: %+v, %v", got, err)
	}
}

func TestPayloadsAreMaskedUnlessAskedFor(t *testing.T) {
	t.Parallel()
	eng := setup(t)
	for payloads, want := range map[admin.Payloads]string{admin.Masked: `{"Cents":"number"}`, admin.Full: `{"Cents":100}`} {
		out, err := run(t, eng, &cli.Options{Payloads: payloads}, "events", "-o", "json")
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%v: %q, %v; want %s", payloads, out, err, want)
		}
	}
}

func TestHelpShowsTheWholeName(t *testing.T) {
	t.Parallel()
	eng := setup(t)
	for name, want := range map[string]string{"": "riffle", "bank": "bank", "bank riffle": "bank riffle"} {
		o := &cli.Options{Name: name}
		out, err := run(t, eng, o, "--help")
		if err != nil || !strings.Contains(out, "\n  "+want+" [command]\n") {
			t.Errorf("%q: %v, want %s [command] in\n%s", name, err, want, out)
		}
		out, err = run(t, eng, o, "retry", "--help")
		if err != nil || !strings.Contains(out, "\n  "+want+" retry NAME") {
			t.Errorf("%q: %v, want %s retry NAME in\n%s", name, err, want, out)
		}
		if _, err = run(t, eng, o, "retry", "--kye"); err == nil || !strings.Contains(err.Error(), "see "+want+" retry --help") {
			t.Errorf("%q: a misspelt flag: %v", name, err)
		}
	}
}

func TestWhatWasOpenedIsClosedAfterAnErrorToo(t *testing.T) {
	t.Parallel()
	eng := setup(t)
	errClose := errors.New("closed")
	cmd := cli.Open(func(context.Context) (*engine.Engine, func() error, error) {
		return eng, func() error { return errClose }, nil
	}, &cli.Options{Name: "bank riffle"})
	cmd.SetArgs([]string{"pause", "nobody", "--reason", "x"})
	cmd.SetOut(io.Discard)
	if err := cmd.ExecuteContext(t.Context()); !errors.Is(err, errClose) || !strings.Contains(err.Error(), "no such projection") {
		t.Errorf("the command returned %v", err)
	}
	failed := errors.New("no disk")
	cmd = cli.Open(func(context.Context) (*engine.Engine, func() error, error) { return nil, nil, failed }, nil)
	cmd.SetArgs([]string{"subscriptions"})
	if err := cmd.ExecuteContext(t.Context()); !errors.Is(err, failed) {
		t.Errorf("the command returned %v", err)
	}
	if _, err := run(t, nil, nil, "subscriptions"); err == nil {
		t.Error("no engine is no error")
	}
}
