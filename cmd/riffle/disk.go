package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// diskReport is what lies in the directory.
type diskReport struct {
	Layout       uint64        `json:"layout"`
	PebbleFormat uint64        `json:"pebble_format"`
	Bytes        filesReport   `json:"bytes"`
	Spaces       []spaceReport `json:"spaces"`
	// TableData is the size of what is in the tables before compression. A block cache of
	// this size holds all of it.
	TableData      uint64        `json:"table_data"`
	CompactionDebt uint64        `json:"compaction_debt"`
	Levels         []levelReport `json:"levels"`
	Backup         *backupOf     `json:"backup,omitempty"`
}

// filesReport is the size of the files by what they are for.
type filesReport struct {
	Total  uint64 `json:"total"`
	Tables uint64 `json:"tables"`
	WAL    uint64 `json:"wal"` // written, and not yet in tables
	Other  uint64 `json:"other"`
}

type spaceReport struct {
	Space string `json:"space"`
	What  string `json:"what"`
	Bytes uint64 `json:"bytes"` // in tables
}

type levelReport struct {
	Level  int    `json:"level"`
	Tables int64  `json:"tables"`
	Bytes  uint64 `json:"bytes"`
}

// backupOf is what the marker of a backup says about its source.
type backupOf struct {
	History event.ID       `json:"history"`
	Head    event.Position `json:"head"`
}

// readDisk looks at the files and opens Pebble itself, for reading only; the store must
// be closed.
func readDisk(dir string) (r diskReport, err error) {
	if r.Bytes, err = fileSizes(dir); err != nil {
		return r, err
	}
	if r.Backup, err = readBackupMarker(dir); err != nil {
		return r, err
	}
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, CacheSize: cacheSize, Logger: silent{}})
	if err != nil {
		return r, explain(dir, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return r, errors.Join(r.readLayout(db), r.readTables(db))
}

func (r *diskReport) readLayout(db *pebble.DB) error {
	r.PebbleFormat = uint64(db.FormatMajorVersion())
	v, closer, err := db.Get([]byte("mlayout"))
	if err != nil {
		return fmt.Errorf("read the layout version: %w", err)
	}
	if len(v) == 8 {
		r.Layout = binary.BigEndian.Uint64(v)
	}
	return closer.Close()
}

// spacesOf are the key spaces of an open store.
func spacesOf(u store.Usage) []spaceReport {
	all := make([]spaceReport, len(u.Spaces))
	for i, s := range u.Spaces {
		all[i] = spaceReport{Space: s.Space, What: s.What, Bytes: uint64(max(s.Bytes, 0))}
	}
	return all
}

func (r *diskReport) readTables(db *pebble.DB) error {
	m := db.Metrics()
	r.CompactionDebt = m.Compact.EstimatedDebt
	r.Levels = []levelReport{}
	for i, l := range m.Levels {
		if l.TablesCount > 0 {
			r.Levels = append(r.Levels, levelReport{Level: i, Tables: l.TablesCount, Bytes: uint64(max(l.TablesSize, 0))})
		}
	}
	levels, err := db.SSTables(pebble.WithProperties())
	if err != nil {
		return fmt.Errorf("properties of the tables: %w", err)
	}
	for _, tables := range levels {
		for _, t := range tables {
			r.TableData += t.Properties.RawKeySize + t.Properties.RawValueSize
		}
	}
	return nil
}

func readBackupMarker(dir string) (*backupOf, error) {
	text, err := os.ReadFile(filepath.Join(dir, backupMarker))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var b backupOf
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, backupMarker), err)
	}
	return &b, nil
}

func dirSize(dir string) (uint64, error) {
	sizes, err := fileSizes(dir)
	return sizes.Total, err
}

// fileSizes adds up the files of a directory; one that goes away meanwhile counts nothing.
func fileSizes(dir string) (r filesReport, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && e.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		n := uint64(info.Size())
		r.Total += n
		switch ext := filepath.Ext(e.Name()); {
		case ext == ".sst" || ext == ".blob":
			r.Tables += n
		case ext == ".log":
			r.WAL += n
		default:
			r.Other += n
		}
		return nil
	})
	return r, err
}

// text is the report for people.
func (r *diskReport) text(b *strings.Builder) {
	fmt.Fprintf(b, "\nDISK\ntotal\t%s\ntables\t%s\nwrite-ahead log\t%s, not yet in tables\nother files\t%s\n",
		display.Bytes(r.Bytes.Total), display.Bytes(r.Bytes.Tables), display.Bytes(r.Bytes.WAL), display.Bytes(r.Bytes.Other))
	fmt.Fprintf(b, "\nKEY SPACE\tIN TABLES\tWHAT\n")
	for _, s := range r.Spaces {
		fmt.Fprintf(b, "%s\t%s\t%s\n", s.Space, display.Bytes(s.Bytes), s.What)
	}
	fmt.Fprintf(b, "\nPEBBLE\ncompaction debt\t%s\n", display.Bytes(r.CompactionDebt))
	fmt.Fprintf(b, "cache\t%s would hold all tables; the default is 256 MiB\n", display.Bytes(r.TableData))
	for _, l := range r.Levels {
		fmt.Fprintf(b, "level %d\t%s in %s\n", l.Level, display.Bytes(l.Bytes), display.Plural(uint64(l.Tables), "table"))
	}
}

// silent drops what Pebble logs; its errors come back as errors.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}

// Fatalf ends the process, as Pebble expects of it; nothing is written by this program's
// readers that could be lost.
func (silent) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "riffle: "+format+"\n", args...)
	os.Exit(1)
}
