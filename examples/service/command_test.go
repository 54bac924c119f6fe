package main

import (
	"bytes"
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/event"
)

// riffle runs the embedded command line.
func riffle(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	err := command(ctx, &out, &out, args)
	return out.String(), err
}

func TestHelpShowsTheCommandsAndTheDirectory(t *testing.T) {
	t.Parallel()
	out, err := riffle(t.Context(), "--help")
	if err != nil || !strings.Contains(out, "[-dir directory]") || !strings.Contains(out, "rebuild ") || !strings.Contains(out, "subscriptions ") {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err := riffle(t.Context(), "-dri", "x", "rebuild"); err == nil || out != "" || !strings.Contains(err.Error(), "-dri") {
		t.Errorf("a misspelt flag: %v, %q", err, out)
	}
}

func TestTheCommandLineHasTheServicesOwnProjections(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bank.db")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := launch(t, dir)
	for _, step := range []struct {
		path string
		in   ask
	}{{"/owners", ask{ID: "o"}}, {"/accounts", ask{ID: "a", Owner: "o", Cents: 100}}} {
		if _, err := p.do(ctx, event.NewID(), step.path, step.in); err != nil {
			t.Fatal(err)
		}
	}
	// While the service runs, its directory is its own. It is asked by its address.
	if out, err := riffle(ctx, "-dir", dir, "subscriptions"); err == nil || !strings.Contains(err.Error(), "ask it by --url") {
		t.Errorf("beside the service: %q, %v", out, err)
	}
	credentials := strings.Replace(p.url, "http://", "http://operator:open%20sesame@", 1)
	if out, err := riffle(ctx, "pause", "notifications", "--reason", "test", "--url", credentials+"/admin"); err != nil {
		t.Errorf("asked to pause: %q, %v", out, err)
	}
	p.stop(t)

	out, err := riffle(ctx, "-dir", dir, "rebuild", "accounts", "--confirm", "accounts")
	if err != nil || !strings.HasPrefix(out, "accounts is rebuilt: generation 1 at position ") {
		t.Errorf("without the service: %q, %v", out, err)
	}
	out, err = riffle(ctx, "-dir", dir, "subscriptions")
	if err != nil || !strings.Contains(out, "paused: test") || !strings.Contains(out, "transfer-states") {
		t.Errorf("subscriptions: %q, %v", out, err)
	}

	p = launch(t, dir)
	var acc account
	if err := p.get(ctx, "/accounts/a", &acc); err != nil || acc.Cents != 100 {
		t.Errorf("after the rebuild the account is %+v, %v", acc, err)
	}
	p.stop(t)
	http.DefaultClient.CloseIdleConnections()
}
