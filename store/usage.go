package store

import "context"

// Usage is what a store takes on disk. A number that a driver does not know is 0.
type Usage struct {
	Total             int64 // bytes of all files
	Free              int64 // bytes that the file system has left for this process
	Tables            int64 // bytes of sorted tables
	WAL               int64 // bytes of the log of what is not yet in tables
	CompactionDebt    int64 // bytes to be compacted until the tree is in shape
	ReadAmplification int64 // places that a lookup may visit
	WriteStalls       int64 // since the store was opened
	Levels            []LevelUsage
	Spaces            []SpaceUsage
	_                 struct{}
}

// LevelUsage is a level of a tree of tables.
type LevelUsage struct {
	Level  int
	Tables int64
	Bytes  int64
	_      struct{}
}

// SpaceUsage is what one kind of keys takes in tables, in bytes. What was written since the
// last flush is not in it.
type SpaceUsage struct {
	Space string // its first byte
	What  string // what it holds, for people
	Bytes int64
	_     struct{}
}

// Surveyor is the optional ability to tell what a store takes on disk.
type Surveyor interface {
	Usage(ctx context.Context) (Usage, error)
}

// Usage tells what the store takes on disk, while it is in use. It reads no events.
// ErrUnsupported when the driver is no [Surveyor].
func (s *Store) Usage(ctx context.Context) (Usage, error) {
	if err := s.ready(ctx); err != nil {
		return Usage{}, err
	}
	surveyor, ok := s.driver.(Surveyor)
	if !ok {
		return Usage{}, ErrUnsupported
	}
	if err := s.enter(ctx); err != nil {
		return Usage{}, err
	}
	defer s.gate.leave()
	u, err := surveyor.Usage(ctx)
	return u, wrap("usage", err)
}
