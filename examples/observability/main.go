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
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C does not wait for the drain
	if err := start(ctx, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start reads the flags and runs the service.
func start(ctx context.Context, out io.Writer, args []string) (err error) {
	s := service{out: out, rebuildEvery: time.Minute}
	flags := flag.NewFlagSet("observability", flag.ContinueOnError)
	flags.StringVar(&s.dir, "dir", "", "`directory` of the store; it is kept (default: a temporary one)")
	flags.StringVar(&s.listen, "listen", ":2112", "`address` of GET /metrics")
	flags.DurationVar(&s.duration, "duration", 0, "stop after this time (default: at Ctrl-C)")
	ci := flags.Bool("ci", false, "a run of 2 seconds on a free port that ends by itself")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *ci {
		s.listen, s.duration, s.rebuildEvery = "127.0.0.1:0", 2*time.Second, 500*time.Millisecond
	}
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "riffle-observability-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	}
	return s.run(ctx)
}
