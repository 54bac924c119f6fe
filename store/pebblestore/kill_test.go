package pebblestore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// runChild is what this test binary does as another process.
func runChild(role, dir string) error {
	d, err := openRaw(vfs.Default, dir, small)
	if err != nil {
		return err
	}
	switch role {
	case "hold": // keeps the directory locked until its standard input ends
		fmt.Println("open")
		_, _ = os.Stdin.Read(make([]byte, 1))
		return d.Close()
	case "write":
		return writeUntilKilled(d)
	}
	return fmt.Errorf("unknown role %q", role)
}

// writeUntilKilled appends and commits, and reports every answer in a line: what a line
// tells was promised before the process died.
func writeUntilKilled(d *driver) error {
	var mu sync.Mutex
	say := func(format string, args ...any) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := fmt.Fprintf(os.Stdout, format+"\n", args...) // unbuffered
		return err
	}
	ctx := context.Background()
	errs := make(chan error)
	for i := range 6 {
		go func() {
			for {
				a := appending(fmt.Sprintf("s%d", i), store.Any, 1+rand.IntN(3))
				res, err := d.try(ctx, a)
				if err != nil {
					errs <- err
					return
				}
				for k, ev := range a.Events {
					if err := say("event %d %s", res.First+event.Position(k), ev.ID); err != nil {
						errs <- err
						return
					}
				}
			}
		}()
	}
	for _, pair := range []string{"e0", "e1", "z0"} {
		go func() { errs <- writePair(ctx, d, pair, say) }()
	}
	return <-errs
}

// writePair goes on with a pair where the last process left it.
func writePair(ctx context.Context, d *driver, pair string, say func(string, ...any) error) error {
	rec, err := d.Get(ctx, "s"+pair)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	lazy := pair[0] == 'z'
	for n := rec.Revision + 1; ; n++ {
		if err := say("try %s %d", pair, n); err != nil {
			return err
		}
		if _, err := d.Commit(ctx, pairTxn(pair, n, !lazy, lazy)); err != nil {
			return err
		}
		if lazy && n%8 == 0 {
			if err := d.Sync(ctx); err != nil {
				return err
			}
		}
		if !lazy || n%8 == 0 {
			if err := say("durable %s %d", pair, n); err != nil {
				return err
			}
		}
	}
}

// child starts this test binary as another process.
func child(t *testing.T, role, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], dir)
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestAKilledProcessLosesNothingThatWasPromised(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := newLedger()
	for round := range rounds(5, 50) {
		before := len(l.events)
		killAndRead(t, dir, l, 20+rand.IntN(1500))
		if len(l.events) == before {
			t.Fatalf("round %d: nothing was written", round)
		}
		d, err := openRaw(vfs.Default, dir, small)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if err := l.check(t.Context(), d, l); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		// what is there now will stay
		events, err := scanAll(t.Context(), d, store.Scan{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.saw(events...), d.Close()); err != nil || t.Failed() {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// killAndRead runs a writing process, kills it after so many lines, and notes what it told.
func killAndRead(t *testing.T, dir string, l *ledger, lines int) {
	t.Helper()
	cmd := child(t, "write", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	in := bufio.NewScanner(out)
	for n := 0; in.Scan(); n++ {
		if n == lines {
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}
		if err := l.line(in.Text()); err != nil {
			t.Error(err)
		}
	}
	err = cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process ended by itself: %v", err)
	}
}

// line notes what a process told; the last line may be cut off.
func (l *ledger) line(text string) error {
	var id string
	var pair string
	var n uint64
	switch {
	case strings.HasPrefix(text, "event "):
		if _, err := fmt.Sscanf(text, "event %d %s", &n, &id); err != nil || len(id) < 26 {
			return nil
		}
		parsed, err := event.ParseID(id)
		if err != nil {
			return err
		}
		return l.saw(event.Event{Position: event.Position(n), ID: parsed})
	case strings.HasPrefix(text, "try "):
		if _, err := fmt.Sscanf(text, "try %s %d", &pair, &n); err == nil {
			l.attempt(pair, n)
		}
	case strings.HasPrefix(text, "durable "):
		if _, err := fmt.Sscanf(text, "durable %s %d", &pair, &n); err == nil {
			l.durable(pair, n)
		}
	}
	return nil
}
