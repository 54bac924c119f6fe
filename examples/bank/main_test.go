package main

import (
	"bufio"
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// asProgram makes a process of this test binary run the program instead of the tests.
const asProgram = "RIFFLE_TEST_BANK"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program prepares a process of the program.
func program(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	var out bytes.Buffer
	cmd.Stderr = &out
	return cmd, &out
}

// finish runs the program to its end.
func finish(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd, out := program(t, args...)
	cmd.Stdout = out
	err := cmd.Run()
	return out.String(), err
}

// killed starts the program and kills it as soon as it has delivered some more messages.
func killed(t *testing.T, dir string, messages int64) {
	t.Helper()
	outbox := filepath.Join(dir, "outbox.txt")
	size := func() int64 {
		info, err := os.Stat(outbox)
		if err != nil {
			return 0 // not there yet
		}
		return info.Size()
	}
	enough := size() + messages*80 // bytes of a message, about
	cmd, stderr := program(t, "-dir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(30 * time.Second); size() < enough; {
		select {
		case <-deadline:
			t.Errorf("no messages are delivered: %s", stderr)
		case <-time.After(time.Millisecond):
			continue
		}
		break
	}
	if err := cmd.Process.Kill(); err != nil { // SIGKILL
		t.Fatal(err)
	}
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the program ended with %v before it was killed: %s", err, stderr)
	}
}

func TestTheBooksBalanceAfterKills(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bank.db")
	for range 5 {
		killed(t, dir, 20+rand.Int64N(60))
	}
	out, err := finish(t, "-ci", "-dir", dir, "-duration", "2s")
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	t.Log(out)
	if !strings.Contains(out, "goes on behind position") || strings.Count(out, "the books balance at position") != 2 {
		t.Errorf("the run after the kills says\n%s", out)
	}
	if strings.Contains(out, "parked messages of 0 accounts retried") {
		t.Errorf("the help desk had nothing to do:\n%s", out)
	}
	st, err := pebblestore.Open(filepath.Join(dir, "events"), &pebblestore.Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	for ev, err := range st.Events(t.Context(), store.Query{Match: store.MatchTypes(bank.Sent{}.EventType()), Limit: 1, Backward: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Metadata.Get(event.CausationID) == "" {
			t.Error("money was sent, and nobody knows why")
		}
	}
	// A bank that prints money is found out.
	if _, err := st.Append(t.Context(), store.Batch{
		Stream: bank.Accounts.Stream("a-00001"), Expect: store.Exists,
		Events: event.Of(bank.Received{Transfer: "forged", From: "nobody", Cents: 1}),
	}); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	out, err = finish(t, "-ci", "-dir", dir, "-duration", "1s")
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 1 || !strings.Contains(out, "the books do not balance") || !strings.Contains(out, "forged") {
		t.Errorf("one cent too many: %v\n%s", err, out)
	}
}

func TestCtrlCClosesTheBankInOrder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bank.db")
	cmd, stderr := program(t, "-dir", dir)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	interrupted := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		out.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "head=") && !interrupted {
			interrupted = true
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	for _, want := range []string{"a new bank", " transfers=", "closing: ", "account a-00001 of "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if n := strings.Count(out.String(), "the books balance at position"); n != 2 {
		t.Errorf("%d proofs, want 2:\n%s", n, &out)
	}
}

func TestTwoProcessesCannotRunOneBank(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bank.db")
	st, err := pebblestore.Open(filepath.Join(dir, "events"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	out, err := finish(t, "-ci", "-dir", dir)
	if err == nil || !strings.Contains(out, "another process runs the bank") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAFrameRedrawsTheScreenWithARowForEachProjection(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bank.db")
	out, err := os.Create(filepath.Join(t.TempDir(), "screen"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	a := app{dir: dir, out: out, live: true, duration: 1200 * time.Millisecond, patience: time.Second}
	if err := a.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	screen, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	frames := strings.Split(string(screen), "\x1b[H")
	if len(frames) < 2 {
		t.Fatalf("no frame in %q", screen)
	}
	for _, name := range []string{"accounts", "statements", "owners", "flows", "transfers", "notifications"} {
		found := false
		for row := range strings.Lines(frames[1]) {
			f := strings.Fields(row)
			if len(f) < 11 || f[0] != name {
				continue
			}
			found = true
			if !strings.Contains(row, "\x1b[K") {
				t.Errorf("the row does not clear what was there: %q", row)
			}
		}
		if !found {
			t.Errorf("no row of %s in\n%s", name, frames[1])
		}
	}
}
