//go:build unix

package engine_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
)

// A process with an engine is killed again and again, on a real disk; some are stopped for
// longer than their leases last before. The next one goes on from where it was.
func TestKilledProcessesLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var acked event.Position
	for round := range rounds(4, 50) {
		last := workAndKill(t, dir, 20+rand.IntN(200), round%3 == 0)
		if last <= acked {
			t.Fatalf("round %d: an append has answered %d, after %d", round, last, acked)
		}
		acked = last
	}
	st, e, err := keepBooks(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	if head, err := st.Head(t.Context()); err != nil || head.Position < acked {
		t.Fatalf("the store ends at %d, an append has answered %d: %v", head.Position, acked, err)
	}
	settle(t, st, e)
}

// workAndKill runs a working process, kills it after so many lines, and returns the highest
// position that an append of it has answered.
func workAndKill(t *testing.T, dir string, lines int, freeze bool) (last event.Position) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], dir)
	cmd.Env = append(os.Environ(), childEnv+"=work")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	signal := func(s syscall.Signal) {
		if err := cmd.Process.Signal(s); err != nil {
			t.Error(err)
		}
	}
	watchdog := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	in := bufio.NewScanner(out)
	for n := 0; in.Scan(); n++ {
		switch {
		case n == lines/2 && freeze:
			signal(syscall.SIGSTOP)
			<-time.After(3 * ordealTTL / 2)
			signal(syscall.SIGCONT)
		case n == lines:
			signal(syscall.SIGKILL)
		}
		var at event.Position
		if _, err := fmt.Sscanf(in.Text()+"\n", "acked %d\n", &at); err == nil && n < lines { // the last line may be cut off
			last = max(last, at)
		}
	}
	err = cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process ended by itself: %v", err)
	}
	return last
}
