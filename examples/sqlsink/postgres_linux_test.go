package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// server is a PostgreSQL server of the tests' own, in a temporary directory, reachable by a
// unix socket only.
type server struct {
	dir     string
	process *exec.Cmd
	ended   chan error
}

// errNoPostgreSQL says that the programs are not installed.
var errNoPostgreSQL = errors.New("PostgreSQL is not installed: no initdb in PATH or in /usr/lib/postgresql/*/bin")

// postgres starts the server when the first test needs it.
var postgres = sync.OnceValues(startPostgreSQL)

// started is the server to stop when the tests are over; nil when none needed it.
var started *server

func startPostgreSQL() (_ *server, err error) {
	bin, err := findPostgreSQL()
	if err != nil {
		return nil, err
	}
	// Not in a test's directory: its name is too long for a socket.
	dir, err := os.MkdirTemp("", "riffle-pg")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, ended: make(chan error, 1)}
	started = s
	as, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initialize := s.command(as, filepath.Join(bin, "initdb"), "-D", data, "-U", "riffle", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	if out, err := initialize.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	s.process = s.command(as, filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	go s.wait()
	return s, s.ready()
}

// wait lives as long as the server.
func (s *server) wait() { s.ended <- s.process.Wait() }

// findPostgreSQL returns the directory of the server's programs. Debian keeps them out of
// PATH.
func findPostgreSQL() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errNoPostgreSQL
	}
	return filepath.Dir(slices.Max(found)), nil
}

// unprivileged returns as whom the server runs, which owns the directory then: it refuses to
// run as root. nil is as the test.
func unprivileged(dir string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("nobody to run PostgreSQL as: %w", err)
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, int(uid), int(gid))
}

// command is a program that ends with the test's process.
func (s *server) command(as *syscall.Credential, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGQUIT}
	return c
}

// ready waits until the server takes connections.
func (s *server) ready() error {
	db, err := sql.Open("pgx", s.source("", "riffle"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = db.PingContext(context.Background()); err == nil {
			return nil
		}
		select {
		case ended := <-s.ended:
			s.ended <- ended
			log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			return fmt.Errorf("PostgreSQL ended at once: %w\n%s", ended, log)
		case <-deadline.C:
			return fmt.Errorf("PostgreSQL takes no connection: %w", err)
		case <-tick.C:
		}
	}
}

// source is how to reach a schema as a role.
func (s *server) source(schema, role string) string {
	q := url.Values{"host": {s.dir}, "search_path": {schema}}
	return (&url.URL{Scheme: "postgres", User: url.User(role), Path: "/postgres", RawQuery: q.Encode()}).String()
}

// stop ends the server and removes what it left.
func (s *server) stop() error {
	var err error
	if s.process != nil && s.process.Process != nil {
		err = s.process.Process.Signal(syscall.SIGINT)
		select {
		case <-s.ended:
		case <-time.After(20 * time.Second):
			err = errors.Join(err, s.process.Process.Kill(), <-s.ended)
		}
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
