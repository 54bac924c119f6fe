package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/riffle-go/riffle/event"
)

// The aggregates that filters select, and their share of the streams, and so of the events.
// The others share the rest.
const (
	commonAggregate = 0 // 50 %
	someAggregate   = 1 // 5 %
	rareAggregate   = 2 // 0.1 %

	commonShare = 0.5
	someShare   = 0.05
	rareShare   = 0.001

	keyedShare = 0.2 // of the streams have a routing key
)

// stream is a stream of the workload and what its events look like.
type stream struct {
	key        event.Stream
	aggregate  int
	id         string
	routingKey string
	metadata   event.Metadata
	body       body
}

// name is the number of the event name at a version: a stream goes through all of its
// names in turn.
func name(version uint64) int { return int(version % namesPerAggregate) }

func (s *stream) payload(version uint64) event.Payload {
	return constructors[s.aggregate][name(version)](s.body)
}

// newStreams makes streams, the same for the same seed. rare is the share of the rare
// aggregate; at least one stream is rare.
func newStreams(seed uint64, n int, rare float64) []stream {
	rng := rand.New(rand.NewPCG(seed, 1))
	streams := make([]stream, n)
	for i := range streams {
		s := &streams[i]
		s.aggregate = pickAggregate(rng, rare)
		if i == 0 {
			s.aggregate = rareAggregate
		}
		s.id = randomID(rng)
		s.key = aggregateName(s.aggregate).Stream(s.id)
		if rng.Float64() < keyedShare {
			s.routingKey = fmt.Sprintf("region-%d", rng.IntN(20))
		}
		s.metadata = event.NewMetadata(map[string]string{
			event.RequestedBy:   fmt.Sprintf("user-%06d", rng.IntN(1_000_000)),
			event.CorrelationID: randomID(rng),
			event.CausationID:   randomID(rng),
		})
		s.body = randomBody(rng)
	}
	return streams
}

func pickAggregate(rng *rand.Rand, rare float64) int {
	switch f := rng.Float64(); {
	case f < rare:
		return rareAggregate
	case f < rare+someShare:
		return someAggregate
	case f < rare+someShare+commonShare:
		return commonAggregate
	}
	return rareAggregate + 1 + rng.IntN(aggregates-rareAggregate-1)
}

func randomBody(rng *rand.Rand) body {
	return body{
		Account:   fmt.Sprintf("DE%020d", rng.Uint64()),
		Cents:     rng.Int64N(10_000_000),
		Currency:  "EUR",
		Reference: randomID(rng),
		Note:      fmt.Sprintf("invoice %08d, March 2026, paid by bank transfer", rng.IntN(100_000_000)),
		Approved:  rng.IntN(2) == 0,
	}
}

// randomID is a ULID without a time: what a data generator is asked for again must be the
// same again.
func randomID(rng *rand.Rand) string {
	var id event.ID
	for i := range id {
		id[i] = byte(rng.Uint32())
	}
	return id.String()
}
