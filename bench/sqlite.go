package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/riffle-go/riffle/event"
)

// sqlite is a table of events as one writes it by hand: the log, the version of a stream
// kept unique, and an index for each way to read.
type sqlite struct {
	db      *sql.DB
	insert  *sql.Stmt
	page    *sql.Stmt
	streams []stream
}

var sqliteSchema = []string{
	`PRAGMA journal_mode = WAL`,
	`PRAGMA synchronous = FULL`,
	`PRAGMA cache_size = -262144`, // KiB: as much as the store has
	`CREATE TABLE events (
		position     INTEGER PRIMARY KEY,
		id           BLOB    NOT NULL UNIQUE,
		aggregate    TEXT    NOT NULL,
		stream       TEXT    NOT NULL,
		version      INTEGER NOT NULL,
		name         TEXT    NOT NULL,
		routing_key  TEXT    NOT NULL,
		schema       INTEGER NOT NULL,
		content_type TEXT    NOT NULL,
		time         INTEGER NOT NULL,
		metadata     BLOB    NOT NULL,
		data         BLOB    NOT NULL
	)`,
	`CREATE UNIQUE INDEX events_stream ON events (aggregate, stream, version)`,
	`CREATE INDEX events_name ON events (aggregate, name, position)`,
	`CREATE INDEX events_routing ON events (routing_key, position) WHERE routing_key <> ''`,
}

const (
	sqliteInsert = `INSERT INTO events
		(id, aggregate, stream, version, name, routing_key, schema, content_type, time, metadata, data)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	sqlitePage = `SELECT position, id, aggregate, stream, version, name, routing_key, schema, content_type, time, metadata, data
		FROM events WHERE position > ? ORDER BY position LIMIT 500`
)

func openModernc(ctx context.Context, dir string, streams []stream) (peer, error) {
	return openSQLite(ctx, "sqlite", dir, streams)
}

// openSQLite opens a new database. It has one connection: SQLite has one writer, and callers
// that queue for it in Go are served faster than callers that find it busy.
func openSQLite(ctx context.Context, driver, dir string, streams []stream) (_ peer, err error) {
	db, err := sql.Open(driver, "file:"+filepath.Join(dir, "events.db"))
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	db.SetMaxOpenConns(1)
	s := &sqlite{db: db, streams: streams}
	for _, statement := range sqliteSchema {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return nil, errors.Join(fmt.Errorf("sqlite: %w", err), db.Close())
		}
	}
	if s.insert, err = db.PrepareContext(ctx, sqliteInsert); err == nil {
		s.page, err = db.PrepareContext(ctx, sqlitePage)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sqlite: %w", err), db.Close())
	}
	return s, nil
}

func (s *sqlite) append(ctx context.Context, i int, version uint64) error {
	ev, err := s.streams[i].event(version + 1)
	if err != nil {
		return err
	}
	return s.write(ctx, s.insert, &ev) // alone, it is a transaction of its own
}

func (s *sqlite) write(ctx context.Context, insert *sql.Stmt, ev *event.Event) error {
	metadata, err := ev.Metadata.AppendBinary([]byte{})
	if err != nil {
		return err
	}
	_, err = insert.ExecContext(ctx, ev.ID[:], string(ev.Stream.Aggregate), ev.Stream.ID, int64(ev.Version), ev.Name,
		ev.RoutingKey, ev.SchemaVersion, ev.ContentType, ev.Time.UnixMilli(), metadata, ev.Data)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	return nil
}

func (s *sqlite) load(ctx context.Context, events []event.Event) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("sqlite: %w", err)
	}
	insert := tx.StmtContext(ctx, s.insert)
	for i := range events {
		if err := s.write(ctx, insert, &events[i]); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

func (s *sqlite) read(ctx context.Context) (int, error) {
	count := 0
	for after := event.Position(0); ; {
		n, last, err := s.readPage(ctx, after)
		if err != nil || n == 0 {
			return count, err
		}
		count += n
		after = last
	}
}

func (s *sqlite) readPage(ctx context.Context, after event.Position) (n int, last event.Position, err error) {
	rows, err := s.page.QueryContext(ctx, int64(after))
	if err != nil {
		return 0, 0, fmt.Errorf("sqlite: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var (
			ev           event.Event
			id, metadata []byte
			millis       int64
		)
		if err := rows.Scan(&ev.Position, &id, &ev.Stream.Aggregate, &ev.Stream.ID, &ev.Version, &ev.Name, &ev.RoutingKey,
			&ev.SchemaVersion, &ev.ContentType, &millis, &metadata, &ev.Data); err != nil {
			return 0, 0, fmt.Errorf("sqlite: %w", err)
		}
		copy(ev.ID[:], id)
		ev.Metadata = event.RawMetadata(metadata)
		ev.Time = time.UnixMilli(millis).UTC()
		n, last = n+1, ev.Position
	}
	return n, last, rows.Err()
}

func (s *sqlite) close() error { return errors.Join(s.insert.Close(), s.page.Close(), s.db.Close()) }
