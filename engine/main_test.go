package engine_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// childEnv makes this test binary another process: that of a test which leaves goroutines
// behind for good, or one that is killed.
const childEnv = "RIFFLE_ENGINE_CHILD"

var long = flag.Bool("long", os.Getenv("RIFFLE_LONG") != "", "run the long forms of the tests; also RIFFLE_LONG=1")

func TestMain(m *testing.M) {
	switch role := os.Getenv(childEnv); role {
	case "":
		goleak.VerifyTestMain(m)
	case "test":
		os.Exit(m.Run())
	default:
		if err := runChild(role, os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, role, err)
			os.Exit(1)
		}
	}
}

// apart runs the rest of a test in a process of its own. It returns false in the process that
// has nothing left to do.
func apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(childEnv) == "test" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), childEnv+"=test")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// rounds is how often a test does something: shortly, or in its long form.
func rounds(short, all int) int {
	switch {
	case *long:
		return all
	case testing.Short():
		return max(short/3, 1)
	default:
		return short
	}
}
