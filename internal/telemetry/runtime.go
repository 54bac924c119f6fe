package telemetry

import (
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// RuntimeConfig says whose subscriptions are measured and where to.
type RuntimeConfig struct {
	// Store is the name of the store that the subscriptions read. Required.
	Store string
	// TracerProvider and MeterProvider default to OpenTelemetry's globals.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	_              struct{}
}

// Runtime holds the instruments that all subscriptions of an engine share. It is safe for
// concurrent use.
type Runtime struct {
	store attribute.KeyValue
	meter metric.Meter
	spans *tracing

	consumed    metric.Int64Counter
	process     metric.Float64Histogram
	delay       metric.Float64Histogram
	pages       metric.Int64Histogram
	busy        metric.Float64Counter
	retries     metric.Int64Counter
	skipped     metric.Int64Counter
	restarts    metric.Int64Counter
	transitions metric.Int64Counter
	checkpoints metric.Float64Histogram
}

// NewRuntime makes the instruments of subscriptions. It fails when c.Store is empty or the
// meter provider refuses an instrument.
func NewRuntime(c RuntimeConfig) (*Runtime, error) {
	if c.Store == "" {
		return nil, errors.New("telemetry: the store of the subscriptions has no name; give it one in its options")
	}
	r := &Runtime{
		store: storeKey.String(c.Store),
		meter: meterOf(c.MeterProvider),
		spans: newTracing(c.TracerProvider),
	}
	b := newBuilder(r.meter, subscriptionInstruments())
	r.consumed = b.int64Counter(consumedMessages)
	r.process = b.float64Histogram(processDuration)
	r.delay = b.float64Histogram(subscriptionDelay)
	r.pages = b.int64Histogram(subscriptionPageSize)
	r.busy = b.float64Counter(subscriptionBusyTime)
	r.retries = b.int64Counter(subscriptionRetries)
	r.skipped = b.int64Counter(subscriptionSkipped)
	r.restarts = b.int64Counter(subscriptionRestarts)
	r.transitions = b.int64Counter(leaseTransitions)
	r.checkpoints = b.float64Histogram(checkpointDuration)
	if err := b.err(); err != nil {
		return nil, err
	}
	return r, nil
}

// SubscriptionSample is what is known of a subscription now, whether a worker of it lives
// or not. There is one per name: while a model is rebuilt, it is about the generation that
// is served.
type SubscriptionSample struct {
	Name        string
	State       string        // one of a fixed set of words
	Position    int64         // the checkpoint
	Backlog     int64         // events behind the head that may concern it
	Lag         time.Duration // age of the first event not yet handled; 0 when there is none
	ProgressAge time.Duration // time since the last progress while behind; 0 when not behind
	Parked      int64         // events set aside
	ParkedAge   time.Duration // age of the oldest of them; 0 when there are none
	Rebuilding  bool          // another generation is being built
	Rebuilt     float64       // how much of it is done, 0 to 1
	_           struct{}
}

// Observe reports the subscriptions whenever metrics are collected, until unregister is
// called. current returns the present ones and must not block: it may run once more while
// unregister returns. A name left out has no series from then on. unregister may be
// called twice.
func (r *Runtime) Observe(current func() []SubscriptionSample) (unregister func(), err error) {
	return observe(r.meter, subscriptionReadings(), func(yield func(*SubscriptionSample, ...attribute.KeyValue)) {
		samples := current()
		for i := range samples {
			yield(&samples[i], r.store, subscriptionKey.String(samples[i].Name))
		}
	})
}

// subscriptionReadings describes the instruments that are read from a sample.
func subscriptionReadings() []reading[SubscriptionSample] {
	type sample = SubscriptionSample
	whole := func(name string, kind Kind, text string, value func(*sample) int64) reading[sample] {
		return reading[sample]{
			Instrument: Instrument{
				Name: name, Kind: kind, Unit: "{event}", Attributes: sorted(storeKey, subscriptionKey), Description: text,
			},
			whole: func(s *sample, observe observeFunc[int64]) { observe(value(s)) },
		}
	}
	age := func(name, text string, value func(*sample) time.Duration) reading[sample] {
		return reading[sample]{
			Instrument: Instrument{
				Name: name, Kind: Gauge, Unit: "s", Attributes: sorted(storeKey, subscriptionKey), Description: text,
			},
			real: func(s *sample, observe observeFunc[float64]) { observe(value(s).Seconds()) },
		}
	}
	return []reading[sample]{
		whole("riffle.subscription.position", Gauge,
			"The checkpoint: the position up to which the subscription's work is committed.",
			func(s *sample) int64 { return s.Position }),
		whole("riffle.subscription.backlog", UpDownCounter,
			"Positions between the checkpoint and the head that may hold events for the subscription.",
			func(s *sample) int64 { return s.Backlog }),
		age("riffle.subscription.lag",
			"Age of the first matching event that is not handled; 0 when there is none.",
			func(s *sample) time.Duration { return s.Lag }),
		age("riffle.subscription.progress.age",
			"Time since the subscription last made progress while it was behind; 0 when it is not behind.",
			func(s *sample) time.Duration { return s.ProgressAge }),
		whole("riffle.subscription.parked", UpDownCounter,
			"Events set aside after their attempts were used up.",
			func(s *sample) int64 { return s.Parked }),
		age("riffle.subscription.parked.age",
			"Age of the oldest parked event; 0 when there is none.",
			func(s *sample) time.Duration { return s.ParkedAge }),
		{
			Instrument: Instrument{
				Name: "riffle.subscription.rebuild.progress", Kind: Gauge, Unit: "1", Attributes: sorted(storeKey, subscriptionKey),
				Description: "How much of a rebuild is done, 0 to 1; absent when none runs.",
			},
			real: func(s *sample, observe observeFunc[float64]) {
				if s.Rebuilding {
					observe(s.Rebuilt)
				}
			},
		},
		{
			Instrument: Instrument{
				Name: "riffle.subscription.status", Kind: UpDownCounter, Unit: "{subscription}",
				Attributes:  sorted(storeKey, subscriptionKey, stateKey),
				Description: "1 for the state that the subscription is in; the other states are absent.",
			},
			whole: func(s *sample, observe observeFunc[int64]) { observe(1, stateKey.String(s.State)) },
		},
	}
}
