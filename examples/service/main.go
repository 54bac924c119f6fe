package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal does not wait for the drain
	if len(os.Args) > 1 && os.Args[1] == "riffle" {
		if err := command(ctx, os.Stdout, os.Stderr, os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "service riffle:", err)
			os.Exit(1)
		}
		return
	}
	if err := start(ctx, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		slog.Error("the service has failed", "error", err)
		os.Exit(1)
	}
}

// start reads the flags and runs the service.
func start(ctx context.Context, out io.Writer, args []string) (err error) {
	c := config{out: out, password: os.Getenv("ADMIN_PASSWORD")}
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.StringVar(&c.dir, "dir", "service.db", "`directory` of the store")
	flags.StringVar(&c.listen, "listen", "localhost:8080", "`address` to listen on")
	flags.DurationVar(&c.grace, "grace", 20*time.Second, "how long a stop may take in all")
	ci := flags.Bool("ci", false, "use itself once over HTTP, in a temporary directory, and stop")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("service: unexpected argument %q: all settings are flags", flags.Arg(0))
	}
	if !*ci {
		return run(ctx, c)
	}
	if c.dir, err = os.MkdirTemp("", "riffle-service-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	c.listen, c.password = "127.0.0.1:0", "for this run only"
	// As an orchestrator would, the demonstration ends the service from outside.
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	shown := make(chan error, 1)
	c.serving = func(url string) {
		go func() {
			defer stop()
			shown <- demonstrate(ctx, out, url, c.password)
		}()
	}
	if err := run(ctx, c); err != nil {
		return err
	}
	return <-shown
}
