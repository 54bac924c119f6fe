//go:build cgo && mattn

package main

import (
	"context"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
)

// mattnFigures are SQLite as its authors' C code, for comparison. They need a C compiler and
// -tags mattn.
func mattnFigures() []figure {
	return peerPair("sqlite", ".mattn", "SQLite (mattn, cgo), WAL, synchronous=FULL, a transaction per event", openMattn, nil, nil)
}

func openMattn(ctx context.Context, dir string, streams []stream) (peer, error) {
	return openSQLite(ctx, "sqlite3", dir, streams)
}
