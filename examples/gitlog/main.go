package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := start(ctx, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start reads the flags and does a run, or the demonstration of -ci.
func start(ctx context.Context, out io.Writer, args []string) error {
	a := app{out: out}
	flags := flag.NewFlagSet("gitlog", flag.ContinueOnError)
	flags.Usage = func() {
		_, _ = fmt.Fprintln(flags.Output(), "usage: gitlog [flags] DIR\n\nDIR is a git repository.")
		flags.PrintDefaults()
	}
	flags.StringVar(&a.store, "store", "gitlog.db", "`directory` of the events; it is kept")
	flags.StringVar(&a.chart, "chart", "gitlog.svg", "`file` of the chart")
	flags.IntVar(&a.revision, "revision", 1, "`number` of the models' definition: 1 takes weekdays by the author's clock, higher ones by UTC")
	ci := flags.Bool("ci", false, "a demonstration with a small repository, all in a temporary directory")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if a.revision < 1 {
		return errors.New("gitlog: -revision begins with 1")
	}
	if *ci {
		return demonstrate(ctx, out)
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return errors.New("gitlog: name one repository, or try -ci")
	}
	a.dir = flags.Arg(0)
	_, err := a.run(ctx)
	return err
}
