package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// OnDemandKey names the snapshot of a state that was folded on demand from streams: by the
// projection, its revision, the shape of its state, what it reads (filter), and the streams
// in their order. Names are hashed, since several stream ids would not fit into a key.
func OnDemandKey(projection string, revision int, fingerprint, filter string, first event.Stream, more ...event.Stream) store.SnapshotKey {
	parts := []string{fingerprint, filter, string(first.Aggregate), first.ID}
	for _, s := range more {
		parts = append(parts, string(s.Aggregate), s.ID)
	}
	sum := sha256.Sum256([]byte(event.Key(strconv.Itoa(revision), parts...)))
	return store.SnapshotKey{Projection: projection, Key: hex.EncodeToString(sum[:])}
}

// Policy says when a fold on demand keeps a snapshot: after it had to read so many events.
// The zero Policy is DefaultPolicy.
type Policy int

// Named policies.
const (
	Never         Policy = -1
	DefaultPolicy Policy = 256
)

// Keep says whether to keep a snapshot after a fold that read so many events beyond the
// last one.
func (p Policy) Keep(read int) bool {
	switch {
	case p < 0:
		return false
	case p == 0:
		p = DefaultPolicy
	}
	return read >= int(p)
}
