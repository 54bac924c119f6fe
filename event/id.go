package event

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// ID is the identity of an event, a worker or a store: a ULID. It begins with a time
// and sorts roughly by it, but it never says in which order events were committed;
// that is [Position].
type ID = ulid.ULID

// NewID returns a fresh id with entropy from crypto/rand. Ids of one process are
// strictly increasing, also when the clock steps back. It is safe for concurrent use.
func NewID() ID { return processIDs.next() }

// ParseID reads the 26 characters that ID.String writes. Other input is an
// [*InvalidError].
func ParseID(s string) (ID, error) {
	id, err := ulid.ParseStrict(s)
	if err != nil {
		return ID{}, &InvalidError{Field: "ID", Reason: fmt.Sprintf("%.40q is not a ULID of 26 characters", s)}
	}
	return id, nil
}

// processIDs is the one piece of process-wide state: ids can only be monotonic inside
// a process if all its callers share a source.
var processIDs = newIDSource(rand.Reader, time.Now)

// idSource makes strictly increasing ids.
type idSource struct {
	now func() time.Time

	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
	ms      uint64 // time of the latest id
	id      ID     // scratch, so that no id escapes to the heap
}

// newIDSource relies on ulid to buffer the entropy: a system call for each id would
// cost more than all the rest.
func newIDSource(entropy io.Reader, now func() time.Time) *idSource {
	return &idSource{now: now, entropy: ulid.Monotonic(entropy, 0)}
}

func (g *idSource) next() ID {
	ms := uint64(max(g.now().UnixMilli(), 0))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ms = max(g.ms, ms)
	for {
		err := g.draw()
		if err == nil {
			return g.id
		}
		if !errors.Is(err, ulid.ErrMonotonicOverflow) {
			// crypto/rand does not fail; an id without entropy would be worse.
			panic(fmt.Sprintf("event: no entropy for a new id: %v", err))
		}
		g.ms++ // this millisecond has no larger id left: borrow the next one
	}
}

func (g *idSource) draw() error {
	if err := g.id.SetTime(g.ms); err != nil {
		return err
	}
	return g.entropy.MonotonicRead(g.ms, g.id[6:])
}
