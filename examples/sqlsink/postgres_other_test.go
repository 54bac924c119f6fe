//go:build !linux

package main

import "errors"

type server struct{}

var (
	errNoPostgreSQL = errors.New("the tests start PostgreSQL on Linux only")
	started         *server
)

func postgres() (*server, error)             { return nil, errNoPostgreSQL }
func (*server) source(string, string) string { return "" }
func (*server) stop() error                  { return nil }
