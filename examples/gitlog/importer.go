package main

import (
	"context"
	"fmt"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// batchEvents is about how many events go into one append: small enough for the store's
// limits, large enough that the disk is asked rarely.
const batchEvents = 500

// theRepository is the only stream of its kind in a store.
var theRepository = Repositories.Stream("the")

// importer puts commits into a store, each once.
type importer struct {
	st      *store.Store
	batches []store.Batch
	events  int // in batches
	commits int // that were not complete in the store
}

// adopt makes a store that of a repository, or refuses one that has another's history.
func adopt(ctx context.Context, st *store.Store, r repository) error {
	for ev, err := range st.Events(ctx, store.Query{Match: store.MatchTypes(Adopted{}.EventType()), Limit: 1}) {
		if err != nil {
			return err
		}
		e, err := event.Decode[Adopted](ev)
		if err == nil && e.Dir != r.dir {
			err = fmt.Errorf("gitlog: the store has the history of %s: name another one by -store for %s", e.Dir, r.dir)
		}
		return err
	}
	_, err := st.Append(ctx, store.Batch{Stream: theRepository, Events: event.Of(Adopted{Dir: r.dir})})
	return err
}

// knownTip returns up to which commit everything was stored by earlier runs; "" is nothing.
func knownTip(ctx context.Context, st *store.Store) (string, error) {
	for ev, err := range st.Events(ctx, store.Query{Match: store.MatchTypes(Read{}.EventType()), Backward: true, Limit: 1}) {
		if err != nil {
			return "", err
		}
		e, err := event.Decode[Read](ev)
		return e.Tip, err
	}
	return "", nil
}

// importNew stores the commits that the store does not have, and returns how many. The tip
// of the run before only says where to begin to look. What is there is told by the streams,
// so that a run that was killed, or a history that was rewritten, leaves no commit out and
// counts none twice.
func importNew(ctx context.Context, st *store.Store, r repository) (int, error) {
	tip, err := r.tip(ctx)
	if err != nil || tip == "" {
		return 0, err
	}
	known, err := knownTip(ctx, st)
	if err != nil || known == tip {
		return 0, err
	}
	if known != "" && !r.has(ctx, known) {
		known = ""
	}
	in := importer{st: st}
	for c, err := range r.since(ctx, known, tip) {
		if err == nil {
			err = in.add(ctx, c)
		}
		if err != nil {
			return in.commits, err
		}
	}
	if err := in.flush(ctx); err != nil {
		return in.commits, err
	}
	_, err = st.Append(ctx, store.Batch{Stream: theRepository, Expect: store.Exists, Events: event.Of(Read{Tip: tip})})
	return in.commits, err
}

// add takes what the store lacks of a commit.
func (in *importer) add(ctx context.Context, c commit) error {
	stream := Commits.Stream(c.hash)
	info, err := in.st.Stream(ctx, stream)
	if err != nil {
		return err
	}
	events := []event.Payload{c.Committed}
	for _, f := range c.files {
		events = append(events, f)
	}
	if info.Version >= uint64(len(events)) {
		return nil
	}
	in.commits++
	// A commit with more files than fit into one append comes in parts. Files are sorted, so a
	// part that is missing since a crash is the same today.
	for version := info.Version; version < uint64(len(events)); {
		part := events[version:min(version+batchEvents, uint64(len(events)))]
		if in.events+len(part) > batchEvents {
			if err := in.flush(ctx); err != nil {
				return err
			}
		}
		in.batches = append(in.batches, store.Batch{Stream: stream, Expect: store.Exact(version), Events: event.Of(part...)})
		in.events += len(part)
		version += uint64(len(part))
	}
	return nil
}

func (in *importer) flush(ctx context.Context) error {
	if len(in.batches) == 0 {
		return nil
	}
	_, err := in.st.Append(ctx, in.batches...)
	in.batches, in.events = nil, 0
	return err
}
