package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// errReported is an error that was told already; it only sets the exit status.
var errReported = errors.New("reported")

// The first interrupt ends the command in order, the second one kills the process as usual.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "riffle: interrupted")
	default:
		fmt.Fprintf(stderr, "riffle: %v\n", err)
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "riffle",
		Short: "Look after the directory of a Riffle store",
		Long: `Look after the directory of a Riffle store.

The commands work on a directory that no service has open: a store at rest, or a backup of
a live one. While a command runs, no service can open that directory.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, c.CommandPath())
	})
	root.AddCommand(
		newVerify(), newStats(), newBackup(),
		newEvents(), newStreams(), newTypes(),
		newSubscriptions(), newParked(),
		newLSM(), newVersion(),
	)
	return root
}

// oneDir is for commands with the directory of a store as their only argument.
func oneDir(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes one argument, the directory of a store; it got %d; see %s --help", c.CommandPath(), len(args), c.CommandPath())
	}
	return nil
}

// completeDirs completes arguments with directories. Nothing is completed from a store:
// that would have to open it.
func completeDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
