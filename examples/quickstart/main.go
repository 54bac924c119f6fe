package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/riffle-go/riffle/store/pebblestore"
)

func main() {
	dir := flag.String("dir", "", "directory of the store; it is kept (default: a temporary one)")
	flag.Bool("ci", false, "run without asking anything; every example has this flag, and this one never asks")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := start(ctx, *dir, os.Stdout)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// start runs the tour in a directory, or in one that does not outlive it.
func start(ctx context.Context, dir string, out io.Writer) error {
	if dir != "" {
		return run(ctx, dir, out)
	}
	tmp, err := os.MkdirTemp("", "riffle-quickstart-")
	if err != nil {
		return err
	}
	err = run(ctx, filepath.Join(tmp, "bank.db"), out)
	if err == nil {
		_, _ = fmt.Fprintln(out, "it was a temporary one and is removed: keep it by -dir")
	}
	return errors.Join(err, os.RemoveAll(tmp))
}

// run opens the store, shows what it can do, and closes it.
func run(ctx context.Context, dir string, out io.Writer) error {
	st, err := pebblestore.Open(dir, nil)
	if err != nil {
		return err
	}
	t := newTour(st, out)
	for _, step := range []func(context.Context) error{
		t.appendEvents, t.readStream, t.meetConflict, t.retryAppend, t.filter, t.page, t.wait,
	} {
		if err := step(ctx); err != nil {
			return errors.Join(err, st.Close())
		}
	}
	head, err := st.Head(ctx)
	if err != nil {
		return errors.Join(err, st.Close())
	}
	fmt.Fprintf(out, "the store now holds %d events, in %s\n", head.Position, dir)
	return st.Close()
}
