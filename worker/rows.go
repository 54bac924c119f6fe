package worker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// How many events may be set aside. More than that is not a few poison events but something
// that an operator must see.
const (
	maxBlockedKeys = 1_000
	maxKeyRows     = 10_000
	maxRows        = 100_000
)

// rowTable holds the events set aside, as the next commit will leave them. Skipped rows are
// not in it: they hold nothing up.
type rowTable struct {
	keys  map[string]*blocked
	total int
	// parked counts the rows that wait for an operator.
	parked int

	// changed are the rows that the next commit writes: as they are in the table, as they are in
	// skipped, or not at all any more.
	changed map[store.RowKey]struct{}
	skipped map[store.RowKey]store.Row
}

// blocked is a key with events set aside. The first one holds up the others.
type blocked struct {
	key  string
	rows []store.Row // by position; never empty

	tries     int       // in this session, at the first one
	failedAt  time.Time // when the first one failed first
	successes uint64    // of all keys, at that time
	inHand    bool      // the first one is being handled
}

func newRowTable() *rowTable {
	return &rowTable{
		keys: map[string]*blocked{}, changed: map[store.RowKey]struct{}{}, skipped: map[store.RowKey]store.Row{},
	}
}

// load reads the stored rows, and returns the skipped ones beyond a position.
func (t *rowTable) load(ctx context.Context, u *store.Subscriber, beyond event.Position) (skipped []store.RowKey, err error) {
	for row, err := range u.Rows(ctx, store.Range{}) {
		if err != nil {
			return nil, err
		}
		if row.State == store.Skipped {
			if row.Position > beyond {
				skipped = append(skipped, store.RowKey{Key: row.Key, Position: row.Position})
			}
			continue
		}
		b := t.keys[row.Key]
		if b == nil {
			b = &blocked{key: row.Key, failedAt: row.Since}
			t.keys[row.Key] = b
		}
		b.rows = append(b.rows, row) // they come by position
		t.count(row, 1)
	}
	for _, b := range t.keys {
		h := b.head()
		b.tries = h.Attempts
		if h.Due.IsZero() { // it was behind another
			h.Due = h.Since
		}
	}
	return skipped, nil
}

func (t *rowTable) count(r store.Row, n int) {
	t.total += n
	if r.State == store.Parked {
		t.parked += n
	}
}

func (t *rowTable) blocks(key string) bool {
	return len(t.keys) > 0 && t.keys[key] != nil
}

// has says whether an event is set aside for a key already.
func (t *rowTable) has(key string, at event.Position) bool {
	b := t.keys[key]
	if b == nil {
		return false
	}
	_, found := b.find(at)
	return found
}

func (b *blocked) find(at event.Position) (int, bool) {
	return slices.BinarySearchFunc(b.rows, at, func(r store.Row, p event.Position) int { return cmp.Compare(r.Position, p) })
}

func (b *blocked) head() *store.Row { return &b.rows[0] }

// put adds a row, or replaces the one of the same event.
func (t *rowTable) put(r store.Row) error {
	b := t.keys[r.Key]
	if b == nil {
		if len(t.keys) >= maxBlockedKeys {
			return &CapError{What: "blocked keys", Limit: maxBlockedKeys}
		}
		b = &blocked{key: r.Key}
	}
	i, found := b.find(r.Position)
	switch {
	case found:
		t.count(b.rows[i], -1)
		b.rows[i] = r
	case len(b.rows) >= maxKeyRows:
		return &CapError{What: "rows of one key", Limit: maxKeyRows}
	case t.total >= maxRows:
		return &CapError{What: "rows", Limit: maxRows}
	default:
		b.rows = slices.Insert(b.rows, i, r)
	}
	t.keys[r.Key] = b
	t.count(r, 1)
	t.mark(r.Key, r.Position)
	return nil
}

func (t *rowTable) mark(key string, at event.Position) {
	t.changed[store.RowKey{Key: key, Position: at}] = struct{}{}
}

// remove takes an event out. The next one of its key is due at once.
func (t *rowTable) remove(key string, at event.Position, now time.Time) (store.Row, bool) {
	b := t.keys[key]
	if b == nil {
		return store.Row{}, false
	}
	i, found := b.find(at)
	if !found {
		return store.Row{}, false
	}
	r := b.rows[i]
	if i == 0 { // most often; keep the front cheap
		b.rows = b.rows[1:]
		b.tries, b.failedAt, b.inHand = 0, time.Time{}, false
		if len(b.rows) > 0 && b.rows[0].State == store.Waiting {
			b.rows[0].Due = now // in memory: rows behind another have no due time
			b.tries = b.rows[0].Attempts
		}
	} else {
		b.rows = slices.Delete(b.rows, i, i+1)
	}
	if len(b.rows) == 0 {
		delete(t.keys, key)
	}
	t.count(r, -1)
	t.mark(key, at)
	return r, true
}

// skip takes an event out for good.
func (t *rowTable) skip(r store.Row, now time.Time) {
	t.remove(r.Key, r.Position, now)
	r.State, r.Due, r.Updated = store.Skipped, time.Time{}, now
	k := store.RowKey{Key: r.Key, Position: r.Position}
	t.skipped[k] = r
	t.changed[k] = struct{}{}
}

// due returns the key whose first event is due for longest, nil when none is; next is when
// one will be, the zero time when none waits for a time.
func (t *rowTable) due(now time.Time) (b *blocked, next time.Time) {
	for _, c := range t.keys {
		h := c.head()
		if h.State != store.Waiting || c.inHand {
			continue
		}
		if b == nil || h.Due.Before(next) || h.Due.Equal(next) && c.key < b.key {
			b, next = c, h.Due
		}
	}
	if b == nil || next.After(now) {
		return nil, next
	}
	return b, next
}

// oldest returns a key for a probe: the one whose first event was not tried for longest.
func (t *rowTable) oldest() (b *blocked) {
	for _, c := range t.keys {
		if c.head().State != store.Waiting || c.inHand {
			continue
		}
		if b == nil || c.head().Updated.Before(b.head().Updated) || c.head().Updated.Equal(b.head().Updated) && c.key < b.key {
			b = c
		}
	}
	return b
}

// retry makes events due now, parked ones too: those of a key, or of every key with "".
func (t *rowTable) retry(key string, now time.Time) {
	for _, b := range t.keys {
		if key != "" && b.key != key {
			continue
		}
		for i := range b.rows {
			r := &b.rows[i]
			if i > 0 && r.State != store.Parked {
				continue
			}
			t.count(*r, -1)
			r.State, r.Due, r.Updated = store.Waiting, now, now
			t.count(*r, 1)
			t.mark(b.key, r.Position)
		}
	}
}

// hurry makes what waits for a time due now.
func (t *rowTable) hurry(now time.Time) {
	for _, b := range t.keys {
		if h := b.head(); h.State == store.Waiting {
			h.Due = now
		}
	}
}

// counts returns how many events are waiting and parked, and how many keys they block.
func (t *rowTable) counts() (waiting, parked, keys int) {
	return t.total - t.parked, t.parked, len(t.keys)
}

// take moves what changed, up to a position, into a commit.
func (t *rowTable) take(c *store.Commit) (taken []store.RowKey) {
	for k := range t.changed {
		if k.Position > c.To {
			continue
		}
		taken = append(taken, k)
	}
	slices.SortFunc(taken, func(a, b store.RowKey) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), cmp.Compare(a.Key, b.Key))
	})
	for _, k := range taken {
		delete(t.changed, k)
		switch r, skipped := t.skipped[k]; {
		case skipped:
			c.Rows = append(c.Rows, r)
		case t.has(k.Key, k.Position):
			b := t.keys[k.Key]
			i, _ := b.find(k.Position)
			c.Rows = append(c.Rows, b.rows[i])
		default:
			c.RowsDone = append(c.RowsDone, k)
		}
	}
	return taken
}

// committed forgets what a commit wrote, and refused takes it back.
func (t *rowTable) committed(taken []store.RowKey) {
	for _, k := range taken {
		if _, again := t.changed[k]; !again {
			delete(t.skipped, k)
		}
	}
}

func (t *rowTable) refused(taken []store.RowKey) {
	for _, k := range taken {
		t.changed[k] = struct{}{}
	}
}
