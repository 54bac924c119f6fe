package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// errMissed is why the command fails under -check.
var errMissed = errors.New("bench: figures miss their bounds")

// command is what the flags ask for.
type command struct {
	config
	pattern  string
	output   printer
	list     bool
	check    bool
	progress io.Writer
}

func parse(args []string, stderr io.Writer) (*command, error) {
	c := &command{config: fullConfig(), output: table{}, progress: io.Discard}
	short := shortConfig()
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&c.pattern, "run", "", "run the figures whose group or name begins with this regular expression; \"\" is all")
	n := flags.Int("n", c.events, "events in the largest store; the smaller ones shrink with it")
	runs := flags.Int("runs", c.runs, "pairs per figure")
	d := flags.Duration("time", c.time, "time for one side of a pair")
	pause := flags.Duration("pause", c.pause, "rest before each side of a pair")
	heap := flags.Int("heap", c.heap, "MiB of live heap that the process has beside, as a service does")
	isShort := flags.Bool("short", false, fmt.Sprintf("everything once and small, for CI: -n %d -runs %d -time %s -pause %s", short.events, short.runs, short.time, short.pause))
	flags.StringVar(&c.dir, "dir", "", "directory for the stores, on the disk to measure; default: the system's for temporary files")
	flags.StringVar(&c.profiles, "profile", "", "write CPU, allocation and mutex profiles of our side into this directory")
	asJSON := flags.Bool("json", false, "print one JSON object per figure")
	asMarkdown := flags.Bool("markdown", false, "print a generated section of docs/benchmarks.md")
	flags.BoolVar(&c.check, "check", false, "exit with status 1 when a figure misses its bound")
	flags.BoolVar(&c.list, "list", false, "print the names of the selected figures and measure nothing")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("bench: unknown argument %q; figures are selected with -run", flags.Arg(0))
	}
	dir, profiles := c.dir, c.profiles
	if *isShort {
		c.config = short
		c.dir, c.profiles = dir, profiles
	}
	flags.Visit(func(f *flag.Flag) { // what is said explicitly wins over -short
		switch f.Name {
		case "n":
			c.events = *n
		case "runs":
			c.runs = *runs
		case "time":
			c.time = *d
		case "pause":
			c.pause = *pause
		case "heap":
			c.heap = *heap
		}
	})
	switch {
	case *asJSON && *asMarkdown:
		return nil, errors.New("bench: -json and -markdown exclude each other")
	case *asJSON:
		c.output = jsonLines{}
	case *asMarkdown:
		c.output, c.progress = &markdown{pattern: c.pattern}, stderr
	}
	return c, c.validate()
}

// minEvents is the least that leaves something of everything in each store.
const minEvents = 2000

func (c config) validate() error {
	switch {
	case c.events < minEvents:
		return fmt.Errorf("bench: -n %d: at least %d events are needed", c.events, minEvents)
	case c.runs < 1:
		return fmt.Errorf("bench: -runs %d: at least one pair is needed", c.runs)
	case c.heap < 0:
		return fmt.Errorf("bench: -heap %d: must not be negative", c.heap)
	case c.time <= 0 || c.pause < 0:
		return fmt.Errorf("bench: -time %s -pause %s: times must be positive", c.time, c.pause)
	}
	return nil
}

// run is the whole command.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	c, err := parse(args, stderr)
	if err != nil {
		return err
	}
	figures, err := selectFigures(allFigures(), c.pattern)
	if err != nil {
		return err
	}
	if c.list {
		for _, f := range figures {
			fmt.Fprintln(stdout, f.name)
		}
		return nil
	}
	return c.measure(ctx, figures, stdout)
}

// measure runs figures and prints them.
func (c *command) measure(ctx context.Context, figures []figure, stdout io.Writer) (err error) {
	b, err := newBench(c.config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := c.output.begin(stdout, b); err != nil {
		return err
	}
	missed := 0
	for _, f := range figures {
		fmt.Fprintln(c.progress, "bench:", f.name)
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		r, err := b.measure(ctx, f)
		if err != nil {
			return err
		}
		if !r.OK {
			missed++
		}
		if err := c.output.print(stdout, &r); err != nil {
			return err
		}
	}
	if err := c.output.end(stdout); err != nil {
		return err
	}
	if c.check && missed > 0 {
		return fmt.Errorf("%w: %d of %d; run again on a quiet machine, or profile with -profile", errMissed, missed, len(figures))
	}
	return nil
}
