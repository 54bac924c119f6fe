package main

import (
	"time"

	"github.com/riffle-go/riffle/event"
)

const (
	// Repositories has one stream: what is read into this store.
	Repositories = event.Aggregate("git/repository")
	// Commits has a stream for each commit, by its hash: the commit and then its files. A
	// commit never changes, so a stream that is as long as the commit is complete.
	Commits = event.Aggregate("git/commit")
)

// Adopted is the first event of a store: it belongs to this repository.
type Adopted struct {
	Dir string `json:"dir"`
}

// Read says that all commits up to a tip are stored.
type Read struct {
	Tip string `json:"tip"`
}

// Committed is a commit.
type Committed struct {
	Author  string    `json:"author"`
	When    time.Time `json:"when"` // in the author's time zone
	Subject string    `json:"subject"`
	Files   int       `json:"files"` // that FileChanged events tell about
}

// FileChanged is what a commit did to one file. It repeats author and time, so that a model
// needs no other event to count it.
type FileChanged struct {
	Path    string    `json:"path"`
	Added   int       `json:"added"` // lines; 0 in binary files
	Deleted int       `json:"deleted"`
	Author  string    `json:"author"`
	When    time.Time `json:"when"`
}

// EventType names the event in the store.
func (Adopted) EventType() event.Type { return Repositories.Event("adopted") }

// EventType names the event in the store.
func (Read) EventType() event.Type { return Repositories.Event("read") }

// EventType names the event in the store.
func (Committed) EventType() event.Type { return Commits.Event("committed") }

// EventType names the event in the store.
func (FileChanged) EventType() event.Type { return Commits.Event("file-changed") }
