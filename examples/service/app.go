package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/engine"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// config is what flags and environment say.
type config struct {
	dir, listen string
	password    string        // of the admin page; "" is no admin page
	grace       time.Duration // for a stop in all, at least 9 s
	out         io.Writer
	serving     func(url string) // called when the service answers; may be nil
}

// The parts of a stop that come after the requests, out of config.grace.
const (
	engineGrace = 5 * time.Second // for handlers that work; then they are cancelled
	flushGrace  = 3 * time.Second // for telemetry
)

// open opens the store and defines the engine on it: the part that the service shares with
// its command line.
func open(dir string, tel *telemetry) (*store.Store, *engine.Engine, error) {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	st, err := pebblestore.Open(filepath.Join(dir, "events"), &pebblestore.Options{
		// logger and telemetry are given once, to the store; the engine uses the store's
		Store:     store.Options{Name: "bank", Logger: logger, TracerProvider: tel.tracing, MeterProvider: tel.metrics},
		CacheSize: 64 << 20,
	})
	if err != nil {
		return nil, nil, err
	}
	eng, err := engine.New(engine.Config{
		Store: st,
		Projections: []projection.Projection{
			bank.State, bank.Statements, transfers, bank.NewTransfers(st), bank.NewNotifications(st, letters{logger}),
		},
		ShutdownTimeout: engineGrace,
	})
	if err != nil {
		return nil, nil, errors.Join(err, st.Close())
	}
	return st, eng, nil
}

// run is the life of the service. What it opens, it closes in the opposite order.
func run(ctx context.Context, c config) (err error) {
	tel, err := newTelemetry(ctx)
	if err != nil {
		return err
	}
	defer func() { // last: it still hears of the store's end
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushGrace)
		defer cancel()
		err = errors.Join(err, tel.shutdown(limit))
	}()
	st, eng, err := open(c.dir, tel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	page, err := admin.New(eng, &admin.Options{
		Authorize: func(*http.Request, admin.Action) error { return nil }, // whoever has passed the password
		Actor:     func(r *http.Request) string { user, _, _ := r.BasicAuth(); return user },
		Hosts:     []string{"*"}, // every request has a password
	})
	if err != nil {
		return err
	}
	defer page.Close()

	mux := http.NewServeMux()
	(&api{st, eng}).routes(mux)
	mux.Handle("GET /livez", admin.Live(eng))
	mux.Handle("GET /readyz", admin.Ready(eng))
	if c.password != "" {
		mux.Handle("/admin/", behindPassword("operator", c.password, http.StripPrefix("/admin", page)))
	}
	server := &http.Server{
		Handler:           otelhttp.NewHandler(mux, "http", otelhttp.WithTracerProvider(tel.tracing), otelhttp.WithMeterProvider(tel.metrics), otelhttp.WithPropagators(traceContext)),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
	}
	server.RegisterOnShutdown(page.Close) // streams of the admin page would keep the server
	l, err := net.Listen("tcp", c.listen)
	if err != nil {
		return err
	}
	return serve(ctx, c, server, l, eng)
}

// serve answers requests until ctx ends or something fails. Then the server stops first,
// since requests wait for the engine; then the engine, since it needs the store.
func serve(ctx context.Context, c config, server *http.Server, l net.Listener, eng *engine.Engine) error {
	work, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	engineEnded := make(chan error, 1)
	go func() { engineEnded <- eng.Run(work) }()
	serverEnded := make(chan error, 1)
	go func() { serverEnded <- server.Serve(l) }()

	url := "http://" + l.Addr().String()
	_, _ = fmt.Fprintln(c.out, "listening on", url)
	if c.serving != nil {
		c.serving(url)
	}
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-serverEnded:
		serverEnded <- http.ErrServerClosed
	case failed = <-engineEnded: // it stops by itself only when the store has failed
		engineEnded <- nil
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(c.grace-engineGrace-flushGrace, time.Second))
	defer cancel()
	err := server.Shutdown(limit)
	if err != nil {
		err = errors.Join(fmt.Errorf("service: requests were cut off: %w", err), server.Close())
	}
	if e := <-serverEnded; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	drain() // each worker finishes the event in hand, within ShutdownTimeout
	err = errors.Join(failed, err, <-engineEnded)
	if err == nil {
		_, _ = fmt.Fprintln(c.out, "stopped in order")
	}
	return err
}

// letters is where a real service would have a mail provider.
type letters struct{ logger *slog.Logger }

// Send implements the sender of the bank. The id is the same in every attempt: a provider
// that knows its ids sends each letter once.
func (l letters) Send(ctx context.Context, id, to, text string) error {
	l.logger.DebugContext(ctx, "letter", "id", id, "to", to, "text", text)
	return nil
}
