package snapshot

import (
	"context"
	"errors"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// DefaultLimit is the memory of clean states that States keep, in bytes.
const DefaultLimit = 64 << 20

// Config says whose states they are. All functions are required.
type Config struct {
	// Load returns the committed state of a key, or an error that is store.ErrNotFound.
	Load func(ctx context.Context, key string) (store.Snapshot, error)
	// Event returns an event that was folded before.
	Event func(ctx context.Context, at event.Position) (event.Event, error)

	// New, Decode, Encode, Size and Fold are those of the model's program. A state belongs
	// to States from New or Decode until it is dropped.
	New    func() any
	Decode func(store.Snapshot) (any, error)
	Encode func(state any) (data []byte, contentType string, err error)
	Size   func(encoded int) int
	Fold   func(state any, key string, ev event.Event) (deleted bool, err error)

	// Snapshots are made under this projection, generation and revision.
	Projection string
	Generation uint32
	Revision   int
	// PerStream says that a state's key is the id of the one stream it is folded from: then
	// its snapshot has the version of that stream.
	PerStream bool

	// Limit of the memory of clean states, an estimate in bytes; 0 is DefaultLimit. Changed
	// states come on top of it: the worker bounds them by when it commits.
	Limit int64
	_     struct{}
}

func (c *Config) validate() error {
	if c.Load == nil || c.Event == nil || c.New == nil || c.Decode == nil || c.Encode == nil || c.Size == nil || c.Fold == nil {
		return errors.New("snapshot: Config lacks a function; all of them are required")
	}
	if c.Limit < 0 {
		return &store.InvalidError{Field: "Config.Limit", Reason: "is negative; 0 is the default"}
	}
	return nil
}
