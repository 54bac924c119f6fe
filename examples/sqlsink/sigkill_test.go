//go:build unix

package main

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

// A process with a sink is killed again and again, while its store is on a real disk; some
// are stopped for longer than their leases last before.
func TestKilledProcessesApplyEveryEventOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *database) {
		db.must(t, journalTables(db.dialect))
		dir := t.TempDir()
		kills := 5
		switch {
		case *long:
			kills = 50
		case testing.Short():
			kills = 2
		}
		var acked event.Position
		for n := range kills {
			last := workAndKill(t, db, dir, 20+rand.IntN(150), n%5 == 0)
			if last <= acked {
				t.Fatalf("life %d: an append has answered %d, after %d", n, last, acked)
			}
			acked = last
		}
		st, e, err := keepLedger(dir, db.DB, db.dialect, &ledger{})
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
		db.settle(t, st, e)
	})
}

// workAndKill runs a working process, kills it after so many lines, and returns the highest
// position that an append of it has answered.
func workAndKill(t *testing.T, db *database, dir string, lines int, freeze bool) (last event.Position) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], db.source, dir)
	cmd.Env = append(os.Environ(), childEnv+"="+string(db.dialect))
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
			<-time.After(3 * ttl / 2)
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
