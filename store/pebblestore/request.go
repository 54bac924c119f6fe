package pebblestore

import (
	"container/list"
	"context"
	"sync/atomic"

	"github.com/riffle-go/riffle/store"
)

// request is a Txn on its way through the committer.
type request struct {
	txn     *store.Txn
	appends []prepared
	one     [1]prepared // appends of the usual request
	arena   []byte      // memory for the first of them
	events  int
	bytes   int
	state   atomic.Uint32
	done    chan struct{} // signalled once, when outcome is filled in; buffered

	// resolve makes the committer look versions up itself: the caller's look-ups came too late
	// several times.
	resolve bool

	// claims are the values of the term records in txn.Fence; nil keeps what is stored.
	claims [][]byte

	// filled in by the committer
	outcome
}

// The states of a request. Taking and cancelling race by compare-and-swap, so that a
// cancelled request was certainly not written and a taken one is waited for.
const (
	requestQueued uint32 = iota
	requestTaken
	requestCancelled
)

type outcome struct {
	result store.Result
	terms  []uint64 // of txn.Fence
	err    error    // errAgain asks the caller to look versions up and to come back
}

// prepared is an Appending whose events are encoded but for what only the committer
// knows.
type prepared struct {
	*store.Appending
	key        string // of the version cache
	routingKey string // the one that is encoded
	arena      []byte // the envelopes
	ends       []int  // of each envelope in the arena
	oneEnd     [1]int

	// cached is the stream's entry in the version cache when the caller looked, which may have
	// been evicted since; without it, known is what the caller found in the index, and knownAt
	// the head under which it looked
	cached  *list.Element
	known   streamState
	knownAt uint64
	isKnown bool
}

// size is what the request adds to a group, in bytes: envelopes and records, without the
// index entries.
func (r *request) size() int {
	n := r.bytes
	for i := range r.txn.Puts {
		n += len(r.txn.Puts[i].Key) + len(r.txn.Puts[i].Value)
	}
	return n
}

// envelope is the k-th envelope.
func (p *prepared) envelope(k int) []byte {
	start := 0
	if k > 0 {
		start = p.ends[k-1]
	}
	return p.arena[start:p.ends[k]:p.ends[k]]
}

// maxHandBacks is how often a caller looks versions up again before the committer does.
const maxHandBacks = 3

// Commit implements store.Driver.
func (d *driver) Commit(ctx context.Context, txn *store.Txn) (store.Result, error) {
	out, err := d.submit(ctx, txn, nil)
	if err == nil && len(out.terms) > 0 {
		d.leases.fenced(txn.Fence, out.terms)
	}
	return out.result, err
}

// submit sends a Txn through the committer and waits for its outcome.
func (d *driver) submit(ctx context.Context, txn *store.Txn, claims [][]byte) (outcome, error) {
	if err := d.writable(); err != nil {
		return outcome{}, err
	}
	if err := checkRecordKeys(txn); err != nil {
		return outcome{}, err
	}
	for tries := 0; ; tries++ {
		r := d.newRequest()
		r.txn, r.claims, r.resolve = txn, claims, tries >= maxHandBacks
		if err := d.prepare(ctx, r); err != nil {
			return outcome{}, err
		}
		out, err := d.enqueue(ctx, r)
		if err != nil {
			return outcome{}, err // the committer may still hold the request: it is not used again
		}
		d.recycle(r)
		if out.err != errAgain {
			return out, out.err
		}
	}
}

// newRequest takes a request whose last use was answered. One that was given up, by a
// cancelled context or a failure, never comes back here.
func (d *driver) newRequest() *request {
	if r, ok := d.requests.Get().(*request); ok {
		return r
	}
	return &request{done: make(chan struct{}, 1)}
}

// maxSpareArena bounds the memory that a request keeps for its next use.
const maxSpareArena = 8 << 10

func (d *driver) recycle(r *request) {
	arena := r.one[0].arena
	if cap(arena) > maxSpareArena {
		arena = nil
	}
	*r = request{done: r.done, arena: arena[:0]}
	d.requests.Put(r)
}

// enqueue hands a request to the committer and waits. The queue is bounded in bytes, so
// that a burst of large appends waits in its callers.
func (d *driver) enqueue(ctx context.Context, r *request) (outcome, error) {
	if len(r.appends) > 0 {
		weight := int64(min(r.bytes, maxQueueBytes))
		if err := d.acquire(ctx, weight); err != nil {
			return outcome{}, err
		}
		defer d.room.Release(weight)
	}
	d.appending.Add(1)
	defer d.appending.Add(-1)
	if !d.inbox.push(r) {
		return outcome{}, store.ErrClosed
	}
	select {
	case <-r.done:
		return r.outcome, nil
	case <-ctx.Done():
		if r.state.CompareAndSwap(requestQueued, requestCancelled) {
			// it stays in the inbox until the committer comes by, and must not hold what no longer
			// counts in the queue's bytes
			r.txn, r.appends, r.one, r.arena, r.claims = nil, nil, [1]prepared{}, nil, nil
			return outcome{}, context.Cause(ctx)
		}
	case <-d.ended:
		return d.lastAnswer(r)
	}
	select {
	case <-r.done:
		return r.outcome, nil
	case <-d.ended:
		return d.lastAnswer(r)
	}
}

// lastAnswer prefers an answer that is there already: what was synced before the store
// failed or closed is durable.
func (d *driver) lastAnswer(r *request) (outcome, error) {
	select {
	case <-r.done:
		return r.outcome, nil
	default:
		return outcome{}, d.endedError()
	}
}

// endedError says why nobody answers any more.
func (d *driver) endedError() error {
	if d.failed() {
		return d.failure()
	}
	return store.ErrClosed
}

func (d *driver) acquire(ctx context.Context, weight int64) error {
	if d.room.TryAcquire(weight) {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(d.life, func() { cancel(context.Cause(d.life)) })
	defer stop()
	if err := d.room.Acquire(ctx, weight); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// prepare looks up what the committer's cache does not have and encodes the events.
func (d *driver) prepare(ctx context.Context, r *request) error {
	if len(r.txn.Appends) == 0 {
		return nil
	}
	if len(r.txn.Appends) == 1 {
		r.appends = r.one[:]
	} else {
		r.appends = make([]prepared, len(r.txn.Appends))
	}
	for i := range r.txn.Appends {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p := &r.appends[i]
		p.Appending = &r.txn.Appends[i]
		p.key = streamKey(p.Stream)
		p.routingKey, p.cached = d.versions.get(p.key)
		if p.cached == nil {
			p.knownAt = d.head.Load().position
			var err error
			if p.known, err = d.lookup(d.db, p.Stream, p.knownAt); err != nil {
				return err
			}
			p.isKnown = true
		}
		switch first := r.begins(i); {
		case p.cached != nil:
		case p.known.version > 0:
			p.routingKey = p.known.routingKey
		case first != nil:
			p.routingKey = first.routingKey
		default:
			p.routingKey = p.RoutingKey
		}
		if err := p.encode(r.arena); err != nil {
			return err
		}
		r.arena = nil
		r.events += len(p.ends)
		r.bytes += len(p.arena)
	}
	return nil
}

// begins returns the append of the same Txn that comes before the ith one on its stream,
// if there is one: a new stream has the routing key that its first append names.
func (r *request) begins(i int) *prepared {
	for j := range r.appends[:i] {
		if r.appends[j].key == r.appends[i].key {
			return &r.appends[j]
		}
	}
	return nil
}

// encode builds the envelopes of an append, in arena if that is large enough, or in one
// allocation.
func (p *prepared) encode(arena []byte) error {
	size := 0
	for i := range p.Events {
		ev := &p.Events[i]
		size += headerSize + 64 + len(p.Stream.ID) + len(p.routingKey) + len(ev.ContentType) + ev.Metadata.Size() + len(ev.Data)
	}
	if p.arena = arena; cap(arena) < size {
		p.arena = make([]byte, 0, size)
	}
	p.ends = p.oneEnd[:0]
	if len(p.Events) > 1 {
		p.ends = make([]int, 0, len(p.Events))
	}
	for i := range p.Events {
		var err error
		if p.arena, err = appendEnvelope(p.arena, p.Stream.ID, p.routingKey, &p.Events[i]); err != nil {
			return err
		}
		p.ends = append(p.ends, len(p.arena))
	}
	return nil
}
