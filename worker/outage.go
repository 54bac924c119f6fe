package worker

import (
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	// outageKeys is how many keys must fail in a row, without a success of any, for an outage.
	outageKeys = 5
	// alone is the time without a try of another key after which a key's failures count even
	// though nothing else succeeded.
	alone = 15 * time.Minute

	probeFirst = time.Second
	probeMost  = 30 * time.Second
)

// outage tells a poison event from a world that is down. When everything fails, no event is
// to blame: nothing is counted against it, and nothing is parked.
type outage struct {
	on    bool
	probe time.Time // of the next probe, while on
	turn  int       // of the probes, which alternate between old and new events
	pause *backoff.ExponentialBackOff

	// successes counts the events handled; handlers of different keys add at the same time.
	successes atomic.Uint64
	seen      uint64              // successes at the last failure
	failing   map[string]struct{} // the keys that failed since

	// last and other are the keys tried last without success, two different ones.
	last, other tried
}

type tried struct {
	key string
	at  time.Time
}

func newOutage(now time.Time) *outage {
	return &outage{
		failing: map[string]struct{}{}, last: tried{at: now}, other: tried{at: now},
		pause: backoff.NewExponentialBackOff(backoff.WithInitialInterval(probeFirst), backoff.WithMultiplier(2),
			backoff.WithMaxInterval(probeMost), backoff.WithMaxElapsedTime(0), backoff.WithRandomizationFactor(0.2)),
	}
}

// succeeded counts a success; it is safe for concurrent use.
func (o *outage) succeeded() { o.successes.Add(1) }

// failed records that an event failed for which no fault of its own is known. It returns
// true when this is the beginning of an outage.
func (o *outage) failed(key string, now time.Time) (begins bool) {
	if n := o.successes.Load(); n != o.seen {
		o.seen = n
		clear(o.failing)
	}
	o.failing[key] = struct{}{}
	if o.last.key != key {
		o.other = o.last
	}
	o.last = tried{key, now}
	if o.on || len(o.failing) < outageKeys {
		return false
	}
	o.begin(now)
	return true
}

func (o *outage) begin(now time.Time) {
	o.on = true
	o.pause.Reset()
	o.postpone(now)
}

// postpone sets the time of the next probe.
func (o *outage) postpone(now time.Time) { o.probe = now.Add(o.pause.NextBackOff()) }

// over says whether something has succeeded since the outage began, and ends it.
func (o *outage) over() bool {
	if !o.on || o.successes.Load() == o.seen {
		return false
	}
	o.on = false
	return true
}

// counts says whether a failure of a key counts: only when another one succeeded since its
// first failure, or when no other was tried for long, so that nothing can be compared.
func (o *outage) counts(b *blocked, now time.Time) bool {
	if o.on {
		return false
	}
	if o.successes.Load() > b.successes {
		return true
	}
	others := o.last
	if others.key == b.key {
		others = o.other
	}
	since := b.failedAt
	if others.at.After(since) {
		since = others.at
	}
	return now.Sub(since) >= alone
}
