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

	"github.com/riffle-go/riffle/cmd/riffle/internal/online"
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
		Short: "Look after a Riffle store, at rest or in a running service",
		Long: `Look after a Riffle store: its directory when no service has it open, a store at rest or a
backup; and a running service through its admin API, by --url.

While a command works on a directory, no service can open it.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, c.CommandPath())
	})
	service := &online.Env{}
	root.AddCommand(service.Actions()...)
	root.AddCommand(
		newServe(), service.Top(),
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

// dirOrURL is for commands that read a directory, or ask a service.
func dirOrURL(remote *online.Remote, dir cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		given, err := remote.Given()
		switch {
		case err != nil:
			return err
		case !given:
			return dir(c, args)
		case len(args) > 0:
			return fmt.Errorf("%s takes either a directory or --url; a service has its directory open, so leave %s out", c.CommandPath(), args[0])
		}
		return nil
	}
}

// completeDirs completes arguments with directories. Nothing is completed from a store:
// that would have to open it.
func completeDirs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
