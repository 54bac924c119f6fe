package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnInterruptEndsACommandWithoutAResult(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "s")
	if err := makeStore("bank", dir, nil); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"verify", "stats", "events", "types", "subscriptions", "parked"} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), []string{command, dir}, &stdout, &stderr); status != 0 {
			t.Errorf("%s ended with status %d: %s", command, status, &stderr)
		}
		ctx, interrupt := context.WithCancel(t.Context())
		interrupt()
		stdout.Reset()
		stderr.Reset()
		if status := run(ctx, []string{command, dir}, &stdout, &stderr); status != 1 {
			t.Errorf("interrupted, %s ended with status %d", command, status)
		}
		if !strings.Contains(stderr.String(), "riffle: interrupted") {
			t.Errorf("interrupted, %s says %q", command, &stderr)
		}
		if strings.Contains(stdout.String(), "ann") || strings.Contains(stdout.String(), "whole") {
			t.Errorf("interrupted, %s has the result %q", command, &stdout)
		}
	}
}
