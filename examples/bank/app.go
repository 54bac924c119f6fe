package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/riffle-go/riffle/engine"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
	"github.com/riffle-go/riffle/worker"
)

// app is one run of the bank.
type app struct {
	dir      string
	duration time.Duration // 0 is until the end of the context
	patience time.Duration // how long a parked message waits for the help desk
	live     bool          // draw a table instead of printing lines
	admin    string        // where the admin page listens; "" is no page
	out      io.Writer

	bank   bank.Bank
	eng    *engine.Engine
	outbox *outbox
	page   *page // nil without admin
}

func (a *app) say(format string, args ...any) { _, _ = fmt.Fprintf(a.out, format+"\n", args...) }

// run opens the bank, and closes in the opposite order what it opened.
func (a *app) run(ctx context.Context) (err error) {
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(a.dir, "bank.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	// 1. open
	st, err := pebblestore.Open(filepath.Join(a.dir, "events"), &pebblestore.Options{
		Store:     store.Options{Name: "bank", Logger: slog.New(slog.NewTextHandler(log, nil))},
		CacheSize: 64 << 20,
	})
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("bank: another process runs the bank in %s: %w", a.dir, err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if a.outbox, err = openOutbox(filepath.Join(a.dir, "outbox.txt")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.outbox.Close()) }()

	// 2. define
	a.bank = bank.Bank{Store: st}
	a.eng, err = engine.New(engine.Config{Store: st, Projections: []projection.Projection{
		bank.State, bank.Statements, bank.OwnerViews, bank.Flows,
		bank.NewTransfers(st), bank.NewNotifications(st, a.outbox),
	}})
	if err != nil {
		return err
	}

	if a.admin != "" {
		if a.page, err = openPage(a.eng, a.admin, a.dir); err != nil {
			return err
		}
		a.say("the admin page is at %s", a.page.url)
	}

	// 3. run: the engine does not stop at Ctrl-C, but when nobody needs it any more
	working, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	ended := make(chan error, 1)
	go func() { ended <- a.eng.Run(working) }()
	err = a.work(ctx, st, ended)
	err = errors.Join(err, a.page.close()) // requests end first, as they need the engine
	drain()
	return errors.Join(err, <-ended)
}

// work is a day at the bank: check the books, open the doors, close them, check the books.
func (a *app) work(ctx context.Context, st *store.Store, ended chan error) error {
	head, err := st.Head(ctx)
	if err != nil {
		return err
	}
	if head.Position == 0 {
		a.say("a new bank in %s", a.dir)
	} else {
		a.say("the bank in %s goes on behind position %d, of %s", a.dir, head.Position, head.Time.Local().Format(time.DateTime))
	}
	if err := a.prove(ctx, st); err != nil {
		return abandoned(ctx, err)
	}

	open, shut := context.WithCancelCause(ctx)
	defer shut(nil)
	if a.duration > 0 {
		timer := time.AfterFunc(a.duration, func() { shut(errClosingTime) })
		defer timer.Stop()
	}
	go func() { // an engine that ends by itself takes everything with it
		select {
		case err := <-ended:
			ended <- err // for run
			shut(errors.New("bank: the engine ended"))
		case <-open.Done():
		}
	}()
	town, err := newTown(open, a.bank)
	if err != nil {
		return abandoned(ctx, err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		shut(town.live(open, helpdesk{a.bank, a.eng, a.patience, &town.helped}))
	}()
	shut(a.show(open, town))
	<-served
	if cause := context.Cause(open); !errors.Is(cause, errClosingTime) && ctx.Err() == nil {
		return cause
	}

	// What clients asked for is done before the doors close for good.
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if a.live {
		a.say("") // the table ends without a line break
	}
	a.say("closing: %d commands obeyed, %d refused, parked messages of %d accounts retried",
		town.obeyed.Load(), town.refused.Load(), town.helped.Load())
	if err := a.prove(closing, st); err != nil {
		return err
	}
	return a.extract(closing, st)
}

// errClosingTime ends a run with a -duration.
var errClosingTime = errors.New("bank: closing time")

// abandoned turns the end of a run by Ctrl-C into success: nothing was done yet that would
// have to be finished.
func abandoned(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// prove waits until everything that was asked for is done, and audits the books. While an
// operator keeps a projection from its work, there is nothing to audit.
func (a *app) prove(ctx context.Context, st *store.Store) error {
	err := a.eng.CatchUp(ctx)
	if names, all := paused(err); all && len(names) > 0 {
		a.say("the books are not audited: %s is paused; resume it on the admin page (-admin)", strings.Join(names, ", "))
		return nil
	}
	if err != nil {
		return err
	}
	books, err := audit(ctx, st, a.outbox)
	if err != nil {
		return err
	}
	a.say("%s", books)
	return nil
}

// paused names the projections that an error says are paused, and tells whether that is all
// it says.
func paused(err error) (names []string, all bool) {
	switch e := err.(type) {
	case *engine.StateError:
		return []string{e.Projection}, e.State == worker.Paused
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			n, ok := paused(part)
			if !ok {
				return nil, false
			}
			names = append(names, n...)
		}
		return names, true
	}
	return nil, err == nil
}

// extract prints one account, from two aggregates, with its statement of this month.
func (a *app) extract(ctx context.Context, st *store.Store) error {
	for acc, err := range bank.State.All(ctx, st, store.Range{Limit: 1}) {
		if err != nil {
			return err
		}
		d, err := bank.AccountDetails.Load(ctx, st, bank.Accounts.Stream(acc.Key), bank.Owners.Stream(acc.Value.Owner))
		if err != nil {
			return err
		}
		month, err := bank.Statements.Get(ctx, st, bank.StatementKey(acc.Key, time.Now()))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		a.say("account %s of %s: %s after %d bookings this month, %s in and %s out", acc.Key, d.Value.OwnerName,
			bank.Amount(d.Value.Cents), month.Value.Bookings, bank.Amount(month.Value.In), bank.Amount(month.Value.Out))
	}
	return nil
}
