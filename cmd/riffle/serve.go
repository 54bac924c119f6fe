package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/cmd/riffle/internal/api"
	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/store"
)

// serveFlags say how to serve.
type serveFlags struct {
	listen, tokenFile, backups string
	hosts                      []string
	payloads                   bool
}

func newServe() *cobra.Command {
	var flags serveFlags
	c := &cobra.Command{
		Use:   "serve DIR",
		Short: "Show a store at rest in the browser",
		Long: `Serve the admin page and API over a store that no service has open, a backup for example.
It runs no projections: they show as orphaned, and models as they are stored. To rebuild or
rewind, use a program with the handlers (see the package cmd/riffle/cli).

Without --token-file the store is opened for reading only, nothing can be changed, and only
this machine can connect. With it every request needs the token: as Authorization: Bearer,
or as the password of any user in a browser. Then the store is opened for writing, and
subscriptions can be paused, resumed, retried and released.`,
		Example: `  riffle serve bank.db
  riffle serve bank.db --listen :8733 --host admin.example.com --token-file token`,
		Args:              oneDir,
		ValidArgsFunction: completeDirs,
	}
	f := c.Flags()
	f.StringVar(&flags.listen, "listen", "127.0.0.1:8733", "`address` to listen on")
	f.StringVar(&flags.tokenFile, "token-file", "", "ask for the token in this `file`, and allow actions")
	f.StringArrayVar(&flags.hosts, "host", nil, "a `name` under which the page is reached, besides localhost and addresses; may be repeated")
	f.BoolVar(&flags.payloads, "payloads", false, "show the data of events and states, which is masked otherwise")
	f.StringVar(&flags.backups, "backup-dir", "", "an existing `directory` for backups made on the page")
	c.RunE = func(c *cobra.Command, args []string) error { return serve(c, args[0], &flags) }
	return c
}

func serve(c *cobra.Command, dir string, flags *serveFlags) (err error) {
	token := ""
	if flags.tokenFile != "" {
		if token, err = api.ReadToken(flags.tokenFile); err != nil {
			return err
		}
	}
	if err := checkListen(flags.listen, token); err != nil {
		return err
	}
	st, err := openToServe(c, dir, token != "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	eng, err := engine.New(engine.Config{Store: st})
	if err != nil {
		return err
	}
	options := &admin.Options{Hosts: flags.hosts}
	if flags.payloads {
		options.Payloads = admin.Full
	}
	if token != "" { // whoever comes through has it
		options.Authorize = func(*http.Request, admin.Action) error { return nil }
		if flags.backups != "" {
			if options.BackupDir, err = filepath.Abs(flags.backups); err != nil {
				return err
			}
		}
	} else if flags.backups != "" {
		return errors.New("--backup-dir needs --token-file: without a token nothing can be done")
	}
	page, err := admin.New(eng, options)
	if err != nil {
		return err
	}
	defer page.Close()
	l, err := net.Listen("tcp", flags.listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address by --listen, port 0 is any free one", err)
	}
	server := &http.Server{Handler: withToken(token, page), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	server.RegisterOnShutdown(page.Close)
	if _, err := fmt.Fprintf(c.OutOrStdout(), "%s is served at http://%s/\n", dir, l.Addr()); err != nil {
		return errors.Join(err, l.Close())
	}
	return serveUntil(c.Context(), server, l)
}

// serveUntil serves until ctx ends, which is how serve is meant to end.
func serveUntil(ctx context.Context, server *http.Server, l net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if server.Shutdown(limit) != nil { // somebody does not let go
		_ = server.Close()
	}
	<-ended
	return nil
}

// openToServe opens the store for reading only, or for writing; like a backup it upgrades
// nothing.
func openToServe(c *cobra.Command, dir string, write bool) (*store.Store, error) {
	st, err := openReadOnly(dir, c.ErrOrStderr())
	if err != nil || !write {
		return st, err
	}
	if err := st.Close(); err != nil {
		return nil, err
	}
	return open(dir, c.ErrOrStderr(), false)
}

// checkListen refuses to show a store to the network without a token.
func checkListen(address, token string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--listen %q is no address, such as 127.0.0.1:8733: %w", address, err)
	}
	ip, err := netip.ParseAddr(host)
	if token != "" || host == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--listen %s lets other machines connect: add --token-file, so that they need a token", address)
}

// withToken lets requests through that have the token, and probes. "" lets all through.
func withToken(token string, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !found {
			_, given, _ = r.BasicAuth()
		}
		got := sha256.Sum256([]byte(given))
		if r.URL.Path != "/live" && r.URL.Path != "/ready" && subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="riffle", charset="UTF-8"`)
			http.Error(w, "the token is needed, as a bearer token or as a password", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
