package pebblestore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// history collects what concurrent clients did.
type history struct {
	mu    sync.Mutex
	start time.Time
	ops   []porcupine.Operation
}

// do runs one operation of a client and notes it; f returns its output.
func (h *history) do(client int, input any, f func() any) any {
	call := time.Since(h.start).Nanoseconds()
	output := f()
	end := time.Since(h.start).Nanoseconds()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: input, Call: call, Output: output, Return: end})
	return output
}

func (h *history) check(t *testing.T, name string, model porcupine.Model, ops []porcupine.Operation) {
	t.Helper()
	switch result := porcupine.CheckOperationsTimeout(model, ops, patience); result {
	case porcupine.Ok:
	case porcupine.Unknown:
		t.Errorf("%s: %d operations were too many to check in %v: nothing is proven", name, len(ops), patience)
	default:
		t.Errorf("%s: %d operations are not linearizable", name, len(ops))
		for _, op := range ops[:min(len(ops), 60)] {
			t.Logf("client %d: %+v -> %+v [%d, %d]", op.ClientId, op.Input, op.Output, op.Call, op.Return)
		}
	}
}

const linearStreams = 3

// streamsState is the versions of the streams of the append model.
type streamsState [linearStreams]uint64

// appendInput appends n events to each stream that it names, or only looks at one.
type appendInput struct {
	streams string // the digits of streams
	expect  [linearStreams]store.Expect
	n       uint64
	look    bool
}

// appendOutput is the result: positions do not matter here, versions do.
type appendOutput struct {
	ok      bool
	batch   int    // that conflicted
	version uint64 // after it, or the actual one, or the one that was seen
}

var appendModel = porcupine.Model{
	Init: func() any { return streamsState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(streamsState), input.(appendInput), output.(appendOutput)
		if in.look {
			return out.version == s[in.streams[0]-'0'], s
		}
		next := s
		for i := range in.streams {
			k := in.streams[i] - '0'
			if !in.expect[k].Holds(s[k]) {
				return !out.ok && out.batch == i && out.version == s[k], s
			}
			next[k] += in.n
		}
		return out.ok && out.version == next[in.streams[0]-'0'], next
	},
}

// TestConcurrentAppendsAreLinearizable, with a version cache of one entry and of many.
func TestConcurrentAppendsAreLinearizable(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 100} {
		for round := range rounds(2, 50) {
			t.Run(fmt.Sprintf("cache %d, %d", size, round), func(t *testing.T) {
				t.Parallel()
				d := openDriver(t, nil, func(o *Options) { o.versionCacheSize = size })
				h := history{start: time.Now()}
				var clients sync.WaitGroup
				for client := range 6 {
					clients.Go(func() {
						var seen streamsState
						for range 60 {
							h.append(t, d, client, &seen)
						}
					})
				}
				within(t, "appends", clients.Wait)
				h.check(t, "appends", appendModel, h.ops)
				if err := d.Verify(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// append does one random operation with expectations from what the client saw last.
func (h *history) append(t *testing.T, d *driver, client int, seen *streamsState) {
	in := appendInput{n: 1 + rand.Uint64N(2)}
	for _, k := range rand.Perm(linearStreams)[:1+rand.IntN(2)] {
		in.streams += fmt.Sprint(k)
		in.expect[k] = []store.Expect{store.Exact(seen[k]), store.Exact(seen[k]), store.Any, store.Exists}[rand.IntN(4)]
	}
	first := in.streams[0] - '0'
	if in.look = rand.IntN(5) == 0; in.look {
		in.streams = in.streams[:1]
	}
	out := h.do(client, in, func() any {
		if in.look {
			info, err := d.Stream(t.Context(), things.Stream(in.streams))
			if err != nil {
				t.Error(err)
			}
			return appendOutput{ok: true, version: info.Version}
		}
		txn := &store.Txn{}
		for i := range in.streams {
			txn.Appends = append(txn.Appends, appending(in.streams[i:i+1], in.expect[in.streams[i]-'0'], int(in.n)))
		}
		res, err := d.Commit(t.Context(), txn)
		if conflict, ok := errors.AsType[*store.ConflictError](err); ok {
			return appendOutput{batch: conflict.Batch, version: conflict.Actual}
		}
		if err != nil {
			t.Error(err)
		}
		return appendOutput{ok: true, version: res.Version}
	}).(appendOutput)
	if out.ok {
		seen[first] = out.version
	} else {
		seen[in.streams[out.batch]-'0'] = out.version
	}
}

// leaseInput is an operation on one lease. Its worker may be slow or paused: it uses the
// term and the checkpoint that it remembers, however old they are.
type leaseInput struct {
	op       string // claim, force, renew, release, fence, commit
	worker   int
	term     uint64
	from, to uint64
}

type leaseOutput struct {
	ok     bool
	lost   bool // a claim that was written, with a fence right behind it
	term   uint64
	worker int // who holds it, of a refused claim
}

// registerState is what is stored: it fences commits.
type registerState struct {
	term, checkpoint uint64
	lost             bool // the term is one that nobody has
}

var registerModel = porcupine.Model{
	Init: func() any { return registerState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(registerState), input.(leaseInput), output.(leaseOutput)
		switch in.op {
		case "claim", "force", "fence":
			switch {
			case out.lost:
				return true, registerState{s.term, s.checkpoint, true}
			case !out.ok:
				return true, s
			}
			return out.term > s.term, registerState{out.term, s.checkpoint, false}
		default: // commit
			if in.term != s.term || in.from != s.checkpoint || s.lost {
				return !out.ok, s
			}
			return out.ok, registerState{s.term, in.to, false}
		}
	},
}

// holderState is who holds the lease; nothing expires here.
type holderState struct {
	held   bool
	worker int
	term   uint64
}

var holderModel = porcupine.Model{
	Init: func() any { return holderState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(holderState), input.(leaseInput), output.(leaseOutput)
		switch in.op {
		case "claim", "force":
			if out.lost {
				return true, s
			}
			if s.held && s.worker != in.worker && in.op == "claim" {
				return !out.ok && out.worker == s.worker, s
			}
			return out.ok && out.term > s.term, holderState{true, in.worker, out.term}
		case "fence":
			return out.term > s.term, holderState{term: out.term}
		case "renew":
			return out.ok == (s.held && s.term == in.term), s
		default: // release
			mine := s.held && s.term == in.term
			if mine {
				s.held = false
			}
			return out.ok == mine, s
		}
	},
}

// leaseClient is a worker of one key.
type leaseClient struct {
	t       *testing.T
	d       *driver
	h       *history
	id      int
	key     string
	workers []event.ID
	term    uint64
	at      uint64 // the checkpoint it believes in
}

// step does one operation. The clients of a key either steal or fence.
func (c *leaseClient) step(fences bool) {
	in := leaseInput{worker: c.id, term: c.term, from: c.at, to: c.at + 1 + rand.Uint64N(3)}
	in.op = []string{"claim", "force", "renew", "release", "commit", "commit", "commit"}[rand.IntN(7)]
	if fences && in.op == "force" {
		in.op = "fence"
	}
	out := c.h.do(c.id, in, func() any { return c.run(in) }).(leaseOutput)
	switch {
	case in.op == "commit" && out.ok:
		c.at = in.to
	case (in.op == "claim" || in.op == "force") && out.ok:
		c.term = out.term
		// a slow worker begins where it thinks it was; most read the checkpoint first
		if rand.IntN(4) > 0 {
			rec, err := c.d.Get(c.t.Context(), "sc"+c.key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				c.t.Error(err)
			}
			c.at = rec.Revision
		}
	}
}

func (c *leaseClient) run(in leaseInput) leaseOutput {
	ctx, key := c.t.Context(), "st"+c.key
	fail := func(err error, want error) leaseOutput {
		if err != nil && !errors.Is(err, want) {
			c.t.Errorf("%s: %v", in.op, err)
		}
		return leaseOutput{ok: err == nil}
	}
	switch in.op {
	case "claim", "force":
		term, err := c.d.Claim(ctx, store.Claim{Key: key, Worker: c.workers[c.id], TTL: time.Hour, Force: in.op == "force"})
		if held, ok := errors.AsType[*store.HeldError](err); ok {
			return leaseOutput{worker: slices.Index(c.workers, held.Worker)}
		}
		out := fail(err, store.ErrLeaseLost)
		out.term, out.lost = term, !out.ok
		return out
	case "renew":
		return fail(c.d.Renew(ctx, []store.LeaseRef{{Key: key, Term: in.term, TTL: time.Hour}})[0], store.ErrLeaseLost)
	case "release":
		return fail(c.d.Release(ctx, store.LeaseRef{Key: key, Term: in.term}), store.ErrLeaseLost)
	case "fence": // what Commit does, with the term that it gave
		res, err := c.d.submit(ctx, &store.Txn{Fence: []string{key}}, nil)
		if err != nil {
			return fail(err, nil)
		}
		c.d.leases.fenced([]string{key}, res.terms)
		return leaseOutput{ok: true, term: res.terms[0]}
	default:
		_, err := c.d.Commit(ctx, &store.Txn{
			Guards: []store.Guard{{Key: key, Revision: in.term}, {Key: "sc" + c.key, Revision: in.from}},
			Puts:   []store.Record{{Key: "sc" + c.key, Revision: in.to}},
			NoSync: rand.IntN(2) == 0,
		})
		return fail(err, store.ErrGuard)
	}
}

// TestLeasesAndCommitsAreLinearizable: claims, steals, renewals, releases and commits by
// workers that are slow and paused. Who holds a lease and what is stored are two objects,
// and each is checked by itself: between them a commit may be refused a moment before a
// renewal is.
func TestLeasesAndCommitsAreLinearizable(t *testing.T) {
	t.Parallel()
	for round := range rounds(3, 60) {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			d := openDriver(t, nil, nil)
			workers := make([]event.ID, 5)
			for i := range workers {
				workers[i] = event.NewID()
			}
			var all sync.WaitGroup
			histories := make([]history, 2)
			for k := range histories {
				histories[k].start = time.Now()
				for id := range workers {
					c := &leaseClient{t: t, d: d, h: &histories[k], id: id, key: fmt.Sprint(k), workers: workers}
					all.Go(func() {
						for range 70 {
							c.step(k == 1)
						}
					})
				}
			}
			within(t, "workers", all.Wait)
			for k := range histories {
				var stored, held []porcupine.Operation
				for _, op := range histories[k].ops {
					switch in := op.Input.(leaseInput); in.op {
					case "commit":
						stored = append(stored, op)
					case "renew", "release":
						held = append(held, op)
					default:
						stored, held = append(stored, op), append(held, op)
					}
				}
				histories[k].check(t, "records", registerModel, stored)
				histories[k].check(t, "holders", holderModel, held)
			}
			if err := d.Verify(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
}
