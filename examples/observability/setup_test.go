package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

// tool finds a program that a test needs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("RIFFLE_CI") != "" {
		t.Fatalf("%s is missing: apt-get install prometheus", name)
	}
	t.Skipf("NOT TESTED: %s is not installed (apt-get install prometheus)", name)
	return ""
}

// startService runs the service until the test ends, and returns the address of its metrics.
func startService(t *testing.T) string {
	t.Helper()
	serving := make(chan string, 1)
	ended := make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	s := service{
		dir: t.TempDir(), listen: "127.0.0.1:0", rebuildEvery: 300 * time.Millisecond,
		out: &bytes.Buffer{}, serving: func(url string) { serving <- url },
	}
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the service ended with %v", err)
		}
	})
	select {
	case url := <-serving:
		return url
	case err := <-ended:
		ended <- err
		t.Fatal("the service does not serve")
		return ""
	}
}

// eventually tries until it works.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
