package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asProgram makes a process of this test binary run the program instead of the tests.
const asProgram = "RIFFLE_TEST_SERVICE"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.Exit(code)
	}))
}

const password = "open sesame"

// process is a running service.
type process struct {
	client
	cmd    *exec.Cmd
	stdout *strings.Builder
	stderr *bytes.Buffer
	read   sync.WaitGroup // until the end of stdout
}

// launch starts the service on a directory and waits until it listens.
func launch(t *testing.T, dir string) *process {
	t.Helper()
	p := &process{stdout: &strings.Builder{}, stderr: &bytes.Buffer{}}
	p.cmd = exec.CommandContext(t.Context(), os.Args[0], "-dir", dir, "-listen", "127.0.0.1:0")
	p.cmd.Env = append(os.Environ(), asProgram+"=1", "ADMIN_PASSWORD="+password)
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	first, err := lines.ReadString('\n')
	url, found := strings.CutPrefix(strings.TrimSpace(first), "listening on ")
	if err != nil || !found {
		_ = p.cmd.Wait()
		t.Fatalf("the service says %q, %v: %s", first, err, p.stderr)
	}
	p.url = url
	p.read.Go(func() { _, _ = io.Copy(p.stdout, lines) })
	return p
}

// end sends a signal and waits for the process.
func (p *process) end(t *testing.T, s os.Signal) error {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	p.read.Wait()
	return p.cmd.Wait()
}

// stop ends the service as an orchestrator does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v: %s", err, p.stderr)
	}
	if !strings.Contains(p.stdout.String(), "stopped in order") {
		t.Errorf("after SIGTERM the service says %q", p.stdout)
	}
}

// kill ends the service as a lack of memory does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	err := p.end(t, syscall.SIGKILL)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the service ended with %v before it was killed: %s", err, p.stderr)
	}
}

func TestTheDemonstrationEndsByItself(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := start(t.Context(), &out, []string{"-ci"}); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	for _, want := range []string{"replayed true", "read behind it: 12500 cents", "a withdrawal is refused: 409", "4000 cents is completed", "/readyz is fine", "stopped in order"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

func TestAStopWaitsForRequestsAndEndsStreams(t *testing.T) {
	t.Parallel()
	p := launch(t, filepath.Join(t.TempDir(), "bank.db"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// Somebody watches the admin page. Without a Close of it the server would wait for ever.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/admin/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("operator", password)
	stream, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stream.Body.Close() }()
	if stream.StatusCode != http.StatusOK {
		t.Fatalf("the stream answers %s", stream.Status)
	}
	began := time.Now()
	p.stop(t)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if _, err := io.Copy(io.Discard, stream.Body); err != nil {
		t.Errorf("the stream was cut off, not ended: %v", err)
	}
	if err := (client{p.url}).get(ctx, "/accounts", new([]account)); err == nil {
		t.Error("a stopped service answers")
	}
	http.DefaultClient.CloseIdleConnections()
}
