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

	"github.com/riffle-go/riffle/engine"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// service is one run of the service.
type service struct {
	dir          string
	listen       string
	duration     time.Duration // 0 is until the end of the context
	rebuildEvery time.Duration // of a model, so that there is something to see
	out          io.Writer
	serving      func(url string) // called when metrics can be read; may be nil
}

func (s *service) say(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }

// run opens what the service needs, and closes it in the opposite order. Telemetry closes
// last, so that it still hears of the store's end.
func (s *service) run(ctx context.Context) (err error) {
	tel, err := newTelemetry(ctx)
	if err != nil {
		return err
	}
	defer func() {
		flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, tel.shutdown(flush))
	}()
	st, err := pebblestore.Open(filepath.Join(s.dir, "events"), &pebblestore.Options{
		Store: store.Options{
			Name:           "bank",
			Logger:         slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
			TracerProvider: tel.tracing,
			MeterProvider:  tel.metrics,
		},
		CacheSize: 64 << 20,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	eng, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{
		bank.State, bank.Statements, bank.Flows, bank.NewTransfers(st), bank.NewNotifications(st, post{}),
	}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.scrape)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, server.Shutdown(limit))
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}()
	at := l.Addr().String()
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		at = fmt.Sprintf("localhost:%d", tcp.Port)
	}
	url := "http://" + at + "/metrics"
	s.say("metrics: %s", url)
	if s.serving != nil {
		s.serving(url)
	}
	return s.work(ctx, st, eng, url)
}

// work runs the engine and the traffic, until time is up or one of them ends.
func (s *service) work(ctx context.Context, st *store.Store, eng *engine.Engine, url string) error {
	running, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(running) }()

	open, shut := context.WithCancel(ctx)
	if s.duration > 0 {
		open, shut = context.WithTimeout(ctx, s.duration)
	}
	defer shut()
	trading := make(chan error, 1)
	go func() {
		trading <- (&traffic{bank: bank.Bank{Store: st}, eng: eng, rebuildEvery: s.rebuildEvery}).run(open)
	}()

	var err error
	select {
	case err = <-ended: // an engine that ends by itself takes the service with it
		shut()
		return errors.Join(err, <-trading)
	case err = <-trading:
	}
	if err == nil && s.duration > 0 && ctx.Err() == nil {
		err = s.report(ctx, st, eng, url)
	}
	drain()
	return errors.Join(err, <-ended)
}

// report waits until the projections are up to date, and says what came of it and how many
// metrics there are to read.
func (s *service) report(ctx context.Context, st *store.Store, eng *engine.Engine, url string) error {
	if err := eng.CatchUp(ctx); err != nil {
		return err
	}
	head, err := st.Head(ctx)
	if err != nil {
		return err
	}
	families, err := scrape(ctx, url)
	if err != nil {
		return err
	}
	s.say("%d events, %d metrics", head.Position, len(families))
	return nil
}
