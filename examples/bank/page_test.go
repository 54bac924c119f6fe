package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/worker"
)

// running is a process of the bank with its admin page.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	lines  *bufio.Scanner
	out    strings.Builder
	url    string
}

// withPage starts the bank in dir, and reads where its page is.
func withPage(t *testing.T, dir string) *running {
	t.Helper()
	r := &running{t: t}
	r.cmd, r.stderr = program(t, "-dir", dir, "-admin", "127.0.0.1:0")
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.lines = bufio.NewScanner(stdout)
	_, r.url, _ = strings.Cut(r.until("the admin page is at "), "the admin page is at ")
	return r
}

// until reads the output up to a line that begins with prefix.
func (r *running) until(prefix string) string {
	r.t.Helper()
	for r.lines.Scan() {
		r.out.WriteString(r.lines.Text() + "\n")
		if strings.HasPrefix(r.lines.Text(), prefix) {
			return r.lines.Text()
		}
	}
	r.t.Fatalf("no line begins with %q in\n%s%s", prefix, &r.out, r.stderr)
	return ""
}

// ctrlC stops the bank and returns what it has said in all.
func (r *running) ctrlC() string {
	r.t.Helper()
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		r.t.Fatal(err)
	}
	for r.lines.Scan() {
		r.out.WriteString(r.lines.Text() + "\n")
	}
	if err := r.cmd.Wait(); err != nil {
		r.t.Fatalf("%v: %s\n%s", err, r.stderr, &r.out)
	}
	return r.out.String()
}

// post sends an action to the page and returns status and answer.
func (r *running) post(path, body string) (int, string) {
	r.t.Helper()
	res, err := http.Post(r.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// must sends an action that has to succeed.
func (r *running) must(path, body string) {
	r.t.Helper()
	if status, text := r.post(path, body); status/100 != 2 {
		r.t.Fatalf("POST %s: %d %s", path, status, text)
	}
}

// becomes waits until a subscription is in a state.
func (r *running) becomes(name string, states ...string) {
	r.t.Helper()
	last := ""
	for deadline := time.After(20 * time.Second); ; {
		var sub struct{ State string }
		res, err := http.Get(r.url + "/api/v1/subscriptions/" + name)
		if err != nil {
			r.t.Fatal(err)
		}
		err = json.NewDecoder(res.Body).Decode(&sub)
		_ = res.Body.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		for _, s := range states {
			if sub.State == s {
				return
			}
		}
		last = sub.State
		select {
		case <-deadline:
			r.t.Fatalf("%s is %s, want %v", name, last, states)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestThePageActsAndTheBooksBalance(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bank.db")
	r := withPage(t, dir)
	r.until("head=")
	watched, err := http.Get(r.url + "/api/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watched.Body.Close() }()

	r.must("/api/v1/subscriptions/flows/pause", `{"reason":"a look at it"}`)
	r.becomes("flows", "paused")
	r.must("/api/v1/subscriptions/flows/resume", `{}`)
	r.becomes("flows", "live", "catching up")
	r.must("/api/v1/subscriptions/accounts/rebuild", `{"confirm":"accounts"}`)
	r.must("/api/v1/store/backup", `{}`)
	if made, err := os.ReadDir(filepath.Join(dir, "backups")); err != nil || len(made) != 1 {
		t.Errorf("backups: %v, %v", made, err)
	}
	status, text := r.post("/api/v1/subscriptions/notifications/skip", `{"confirm":"notifications","key":"a-00001","position":"1"}`)
	if status != http.StatusForbidden || !strings.Contains(text, "none may be left out") {
		t.Errorf("skip: %d %s", status, text)
	}

	out := r.ctrlC() // although somebody watches
	if strings.Count(out, "the books balance at position") != 2 {
		t.Errorf("two proofs are missing in\n%s", out)
	}
	if _, err := http.Get(r.url + "/live"); err == nil {
		t.Error("the page answers after the bank has closed")
	}
}

func TestAPausedProjectionPutsOffTheAudit(t *testing.T) {
	t.Parallel()
	const putOff = "the books are not audited: transfers is paused"
	dir := filepath.Join(t.TempDir(), "bank.db")
	r := withPage(t, dir)
	r.until("head=")
	r.must("/api/v1/subscriptions/transfers/pause", `{"reason":"over night"}`)
	r.becomes("transfers", "paused")
	if out := r.ctrlC(); strings.Count(out, "the books balance at position") != 1 || strings.Count(out, putOff) != 1 {
		t.Errorf("paused before the end:\n%s", out)
	}

	r = withPage(t, dir)
	r.until(putOff)
	r.must("/api/v1/subscriptions/transfers/resume", `{}`)
	r.becomes("transfers", "live", "catching up")
	if out := r.ctrlC(); strings.Count(out, "the books balance at position") != 1 {
		t.Errorf("resumed:\n%s", out)
	}
}

func TestOnlyAPausePutsOffTheAudit(t *testing.T) {
	t.Parallel()
	waits := &engine.StateError{Projection: "flows", State: worker.Paused}
	halts := &engine.StateError{Projection: "owners", State: worker.Halted}
	if names, all := paused(errors.Join(errors.Join(waits, waits))); !all || len(names) != 2 {
		t.Errorf("two are paused: %v, %t", names, all)
	}
	for _, err := range []error{halts, errors.Join(waits, halts), errors.Join(waits, io.EOF), io.EOF} {
		if names, all := paused(err); all {
			t.Errorf("%v: %v are paused, and that is all", err, names)
		}
	}
	if names, _ := paused(nil); len(names) > 0 {
		t.Errorf("no error: %v", names)
	}
}

func TestThePageIsForThisMachineAlone(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"127.0.0.1:0": "", "localhost:8080": "", "[::1]:8080": "",
		":8080": "other machines", "0.0.0.0:8080": "other machines", "[::]:8080": "other machines",
		"192.0.2.1:8080": "other machines", "bank.example.com:80": "other machines",
		"8080": "no address", "127.0.0.1": "no address",
	} {
		err := checkPage(address)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
	out, err := finish(t, "-ci", "-admin", ":8080")
	if err == nil || !strings.Contains(out, "other machines") {
		t.Errorf("%v: %s", err, out)
	}
}
