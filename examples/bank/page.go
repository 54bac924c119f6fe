package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/engine"
)

// page is the admin page and API of the bank, for browsers and for riffle --url.
type page struct {
	url     string
	handler *admin.Handler
	server  *http.Server
	ended   chan error
}

// openPage serves the page at address. Nobody has to say who they are, so that it must not
// be reached from elsewhere: see checkPage.
func openPage(eng *engine.Engine, address, dir string) (*page, error) {
	backups, err := filepath.Abs(filepath.Join(dir, "backups"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(backups, 0o755); err != nil {
		return nil, err
	}
	p := &page{ended: make(chan error, 1)}
	p.handler, err = admin.New(eng, &admin.Options{Authorize: authorize, Payloads: admin.Full, BackupDir: backups})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		p.handler.Close()
		return nil, fmt.Errorf("bank: the admin page: %w", err)
	}
	p.url = "http://" + l.Addr().String()
	p.server = &http.Server{Handler: p.handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	go func() { p.ended <- p.server.Serve(l) }()
	return p, nil
}

// authorize allows everybody on this machine what does the books no harm.
func authorize(_ *http.Request, act admin.Action) error {
	if act.Verb == admin.VerbSkip {
		return errors.New("the bank proves that every message was delivered: none may be left out; retry it")
	}
	return nil
}

// close ends the streams of samples, finishes the requests under way, and serves no more.
// Without a page there is nothing to do.
func (p *page) close() error {
	if p == nil {
		return nil
	}
	p.handler.Close()
	limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if p.server.Shutdown(limit) != nil { // somebody does not let go
		_ = p.server.Close()
	}
	if err := <-p.ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// checkPage refuses addresses that other machines can reach.
func checkPage(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("bank: -admin %q is no address, such as 127.0.0.1:8080: %w", address, err)
	}
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("bank: -admin %s lets other machines connect, and this page asks nobody for a password: "+
		"use 127.0.0.1; examples/service has its page behind a password", address)
}
