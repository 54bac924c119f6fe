package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/cmd/riffle/cli"
	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// bankservice is a command of the scripts: a service that runs until it is interrupted, or
// its embedded command line.
//
//	bankservice serve FILE [TOKEN]   writes the address of its admin page to FILE; without a
//	                                 TOKEN nothing can be changed
//	bankservice riffle …             the command line over its engine
//
// Its store is in the directory s.
func bankservice() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := func() error { return serveBank(ctx, os.Args[2], os.Args[3:]) }
	if os.Args[1] == "riffle" {
		run = func() error {
			cmd := cli.Open(openBank, nil)
			cmd.SetArgs(os.Args[2:])
			return cmd.ExecuteContext(ctx)
		}
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bankservice:", err)
		os.Exit(1)
	}
}

type deposited struct{ Cents int64 }

func (deposited) EventType() event.Type { return accounts.Event("deposited") }

var balances = projection.NewModel("balances",
	projection.Fold(func(cents *struct{ Cents int64 }, e deposited, _ event.Event) error {
		cents.Cents += e.Cents
		return nil
	}),
)

// mailer has no address of eve.
var mailer = projection.NewEffect("mailer",
	projection.On(func(_ context.Context, _ deposited, ev event.Event) error {
		if _, err := os.Stat("address-of-eve"); ev.Stream.ID == "eve" && err != nil {
			return projection.Park(errors.New("no address of eve"))
		}
		return nil
	}),
).With(projection.Options{Start: store.AtPosition(1), Repeat: true})

// rows is a target in memory.
type rows struct {
	mu   sync.Mutex
	at   event.Position
	term uint64
}

func (r *rows) Begin(_ context.Context, s projection.Session, _, _ event.Position) (event.Position, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.term = s.Term
	return r.at, nil
}

func (r *rows) Write(_ context.Context, s projection.Session, _, to event.Position, _ []event.Event) error {
	return r.Reset(context.Background(), s, to)
}

func (r *rows) Reset(_ context.Context, s projection.Session, to event.Position) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.term != s.Term {
		return store.ErrLeaseLost
	}
	r.at = to
	return nil
}

// openBank opens the store, and fills it when it is new.
func openBank(ctx context.Context) (*engine.Engine, func() error, error) {
	st, err := pebblestore.Open("s", &pebblestore.Options{
		FreeSpace: pebblestore.NoFreeSpaceCheck,
		Store:     store.Options{Name: "bank", Logger: slog.New(slog.DiscardHandler)},
	})
	if err != nil {
		return nil, nil, err
	}
	eng, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{
		balances, mailer, projection.NewSink("rows", &rows{}),
	}})
	head, e := st.Head(ctx)
	if err = errors.Join(err, e); err == nil && head.Position == 0 {
		for _, id := range []string{"ann", "bob", "eve", "ann", "eve"} {
			_, e := st.Append(ctx, store.Batch{Stream: accounts.Stream(id), Expect: store.Any, RoutingKey: "eu", Events: event.Of(deposited{100})})
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, st.Close())
	}
	return eng, st.Close, nil
}

func serveBank(ctx context.Context, file string, token []string) error {
	eng, closing, err := openBank(ctx)
	if err != nil {
		return err
	}
	o := &admin.Options{}
	if len(token) > 0 {
		o.Payloads = admin.Full
		o.Authorize = func(r *http.Request, _ admin.Action) error {
			if r.Header.Get("Authorization") != "Bearer "+token[0] {
				return errors.New("operators only")
			}
			return nil
		}
	}
	page, err := admin.New(eng, o)
	if err != nil {
		return errors.Join(err, closing())
	}
	running, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(running) }()
	if err := eng.CatchUp(ctx); err != nil { // what the scripts look at has settled
		return errors.Join(err, closing())
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/", http.StripPrefix("/admin", page))
	server := httptest.NewServer(mux)
	if err := os.WriteFile(file+".new", []byte(server.URL+"/admin"), 0o600); err != nil {
		return err
	}
	if err := os.Rename(file+".new", file); err != nil {
		return err
	}
	<-ctx.Done()
	page.Close()
	server.Close()
	drain()
	return errors.Join(<-ended, closing())
}
