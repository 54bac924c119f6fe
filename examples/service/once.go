package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// requests has a stream for each request that was done, named after its key.
const requests = event.Aggregate("bank/request")

// handled is the only event of a request. It is appended together with what the request
// does, so it is there exactly when that is.
type handled struct {
	Digest string // of what was asked for
}

// EventType names the event in the store.
func (handled) EventType() event.Type { return requests.Event("handled") }

var errReused = errors.New("service: this Idempotency-Key was used for another request")

// once does what a request asks for, unless an earlier try of it did: then the answer is
// the same. That question comes first, since the bank may refuse by now what it allowed
// then. prepare decides on the state of one stream; it is called again when somebody else
// changes that.
func (a *api) once(ctx context.Context, key event.ID, in ask, path string, prepare func() (store.Batch, error)) (done, error) {
	text, err := json.Marshal(in)
	if err != nil {
		return done{}, err
	}
	sum := sha256.Sum256(append([]byte(path+"\n"), text...))
	mark := handled{hex.EncodeToString(sum[:16])}
	stream := requests.Stream(key.String())
	for tries := 0; ; tries++ {
		before, found, err := a.earlier(ctx, stream, mark)
		if err != nil || found {
			return before, err
		}
		batch, err := prepare()
		if err != nil {
			return done{}, err
		}
		res, err := a.store.Append(ctx, batch, store.Batch{Stream: stream, Events: event.Of(mark)})
		conflict, ok := errors.AsType[*store.ConflictError](err)
		if !ok {
			return done{Position: res.Position}, err
		}
		// Somebody changed the stream since it was loaded, or another try of the same request
		// was faster. A stream that had to be new and is not will not become so.
		if tries == 15 || conflict.Stream == batch.Stream && batch.Expect == store.NoStream {
			return done{}, err
		}
	}
}

// earlier looks for an earlier try.
func (a *api) earlier(ctx context.Context, stream event.Stream, mark handled) (done, bool, error) {
	for ev, err := range a.store.Events(ctx, store.Query{Match: store.MatchStreams(stream), Limit: 1}) {
		if err != nil {
			return done{}, false, err
		}
		was, err := event.Decode[handled](ev)
		if err == nil && was != mark {
			err = errReused
		}
		return done{Position: ev.Position, Replayed: true}, true, err
	}
	return done{}, false, nil
}
