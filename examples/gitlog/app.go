package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// app is one run.
type app struct {
	dir      string // the repository
	store    string
	chart    string
	revision int
	out      io.Writer
}

// outcome is what a run did.
type outcome struct {
	taken   int // new commits
	reads   int // of the models while they were rebuilt
	rebuilt bool
	report
}

func (a app) say(format string, args ...any) { _, _ = fmt.Fprintf(a.out, format+"\n", args...) }

// run brings the models up to their revision, takes the new commits, and draws the chart.
// It is a batch job, so it never runs the engine for long: CatchUp works until there is
// nothing left to do.
func (a app) run(ctx context.Context) (o outcome, err error) {
	repo, err := openRepository(ctx, a.dir)
	if err != nil {
		return o, err
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	st, err := pebblestore.Open(a.store, &pebblestore.Options{Store: store.Options{Name: "gitlog", Logger: logger}, CacheSize: 64 << 20})
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := adopt(ctx, st, repo); err != nil {
		return o, err
	}
	m := newModels(a.revision)
	eng, err := engine.New(engine.Config{Store: st, Projections: m.all()})
	if err != nil {
		return o, err
	}
	if o.reads, o.rebuilt, err = upgrade(ctx, eng, m); err != nil {
		return o, err
	}
	if o.rebuilt {
		a.say("rebuilt the models as revision %d; they were read %d times meanwhile, always whole", a.revision, o.reads)
	}
	if o.taken, err = importNew(ctx, st, repo); err != nil {
		return o, err
	}
	if err := eng.CatchUp(ctx); err != nil {
		return o, err
	}
	a.say("took %d new commits from %s", o.taken, repo.dir)
	if o.report, err = readReport(ctx, st, m); err != nil {
		return o, err
	}
	o.print(a.out)
	if err := writeChart(a.chart, repo.dir, o.report); err != nil {
		return o, err
	}
	a.say("the chart is in %s", a.chart)
	return o, nil
}

// upgrade lets the engine build what is stored in another revision, and reads the models
// all the time: until the switch they show the old states, then the new ones, and never a
// part of either.
func upgrade(ctx context.Context, eng *engine.Engine, m models) (reads int, rebuilt bool, err error) {
	before, revision, err := commitsCounted(ctx, eng.Store(), m)
	if err != nil || revision == 0 {
		return 0, false, err // nothing is stored yet
	}
	done := make(chan error, 1)
	go func() { done <- eng.CatchUp(ctx) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for was, caughtUp := revision, false; ; reads++ {
		var now int
		now, revision, err = commitsCounted(ctx, eng.Store(), m)
		if err == nil && now < before {
			err = fmt.Errorf("gitlog: a read during the rebuild saw %d commits of %d", now, before)
		}
		if caughtUp {
			return reads, revision != was, err
		}
		if err != nil {
			return reads, false, errors.Join(err, <-done)
		}
		select {
		case err := <-done:
			if err != nil {
				return reads, false, err
			}
			caughtUp = true // one more read, of the new states
		case <-tick.C:
		}
	}
}

// commitsCounted adds up the weekdays, and returns the revision that they were counted in;
// 0 when there are none.
func commitsCounted(ctx context.Context, st *store.Store, m models) (commits, revision int, err error) {
	for day, err := range m.weekdays.All(ctx, st, store.Range{}) {
		if errors.Is(err, projection.ErrRebuilding) {
			return 0, 0, fmt.Errorf("gitlog: the models were built in a newer revision: name it by -revision: %w", err)
		}
		if err != nil {
			return 0, 0, err
		}
		commits += day.Value.Commits
		revision = day.Revision
	}
	return commits, revision, nil
}
