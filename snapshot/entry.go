package snapshot

import (
	"container/list"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// entry is one live state.
type entry struct {
	key   string
	state any // nil: there is none (deleted, or never was)

	version  uint64         // of the stream, at the last fold
	position event.Position // of the last fold; 0 when unknown

	encoded int   // estimated length of the encoding
	weight  int64 // what the entry counts in its sum

	// since are the positions folded since the base. The base is what a commit under way
	// carries, else what is committed.
	since []event.Position
	base  *cut

	spoilt  bool // a fold did not end well: build the state again before the next
	changed bool // since the last Cut
	clean   *list.Element
}

// cut is what a commit carries of an entry.
type cut struct {
	removed  bool
	snapshot store.Snapshot
}

// entryOverhead estimates what an entry costs beside key and state: the entry, its places in
// map and list.
const entryOverhead = 256

func (e *entry) estimate(size func(int) int) int64 {
	n := int64(entryOverhead + len(e.key) + 8*cap(e.since))
	if e.state != nil {
		n += int64(size(e.encoded))
	}
	if e.base != nil {
		n += int64(cap(e.base.snapshot.State))
	}
	return n
}
