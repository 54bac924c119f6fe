package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for the drain
	err := start(ctx, os.Stdout, os.Args[1:])
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start reads the flags and runs the bank.
func start(ctx context.Context, out *os.File, args []string) (err error) {
	a := app{out: out, live: isTerminal(out), patience: 3 * time.Second}
	flags := flag.NewFlagSet("bank", flag.ContinueOnError)
	flags.StringVar(&a.dir, "dir", "bank.db", "`directory` of the bank; it is kept")
	flags.DurationVar(&a.duration, "duration", 0, "stop after this time (default: at Ctrl-C)")
	flags.StringVar(&a.admin, "admin", "", "`address` on this machine for the admin page, such as 127.0.0.1:8080; it asks for no password (default: no page)")
	ci := flags.Bool("ci", false, "a run of 3 seconds in plain lines, in a temporary directory unless -dir names one")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("bank: unexpected argument %q: the directory goes behind -dir", flags.Arg(0))
	}
	if a.admin != "" {
		if err := checkPage(a.admin); err != nil {
			return err
		}
	}
	if *ci {
		a.live, a.patience = false, 500*time.Millisecond
		if a.duration == 0 {
			a.duration = 3 * time.Second
		}
		given := false
		flags.Visit(func(f *flag.Flag) { given = given || f.Name == "dir" })
		if !given {
			if a.dir, err = os.MkdirTemp("", "riffle-bank-"); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(a.dir)) }()
		}
	}
	return a.run(ctx)
}

// isTerminal says whether a table that is drawn over and over makes sense.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
