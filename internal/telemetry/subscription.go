package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// The names of the instruments that a subscription records. Those that are read from
// samples are in subscriptionReadings.
const (
	consumedMessages     = "messaging.client.consumed.messages"
	processDuration      = "messaging.process.duration"
	subscriptionDelay    = "riffle.subscription.delay"
	subscriptionPageSize = "riffle.subscription.page.size"
	subscriptionBusyTime = "riffle.subscription.busy.time"
	subscriptionRetries  = "riffle.subscription.retries"
	subscriptionSkipped  = "riffle.subscription.skipped"
	subscriptionRestarts = "riffle.subscription.restarts"
	leaseTransitions     = "riffle.subscription.lease.transitions"
	checkpointDuration   = "riffle.subscription.checkpoint.duration"
)

// subscriptionInstruments describes what a subscription records.
func subscriptionInstruments() []Instrument {
	operation := func() []string {
		return sorted(semconv.MessagingSystemKey, semconv.MessagingOperationNameKey, semconv.MessagingOperationTypeKey,
			storeKey, subscriptionKey, rebuildKey, semconv.ErrorTypeKey)
	}
	subject := func(more ...attribute.Key) []string {
		return sorted(append([]attribute.Key{storeKey, subscriptionKey, rebuildKey}, more...)...)
	}
	return []Instrument{
		{
			Name: consumedMessages, Kind: Counter, Unit: "{message}", Attributes: operation(),
			Description: "Events given to handlers, by how their page ended.",
		},
		{
			Name: processDuration, Kind: Histogram, Unit: "s", Attributes: operation(), Buckets: durationBuckets(),
			Description: "Time the handlers took for a page.",
		},
		{
			Name: subscriptionDelay, Kind: Histogram, Unit: "s", Attributes: subject(), Buckets: delayBuckets(),
			Description: "Time from the append of an event until it was handled; not measured in rebuilds.",
		},
		{
			Name: subscriptionPageSize, Kind: Histogram, Unit: "{event}", Attributes: subject(), Buckets: countBuckets(),
			Description: "Events of a page.",
		},
		{
			Name: subscriptionBusyTime, Kind: Counter, Unit: "s", Attributes: subject(),
			Description: "Time spent on handling and committing; its rate is the share of one core's time that the subscription is at work.",
		},
		{
			Name: subscriptionRetries, Kind: Counter, Unit: "{retry}", Attributes: subject(),
			Description: "Times an event was handled again after an error.",
		},
		{
			Name: subscriptionSkipped, Kind: Counter, Unit: "{event}", Attributes: subject(),
			Description: "Events left out because a handler or an operator said so.",
		},
		{
			Name: subscriptionRestarts, Kind: Counter, Unit: "{restart}", Attributes: subject(),
			Description: "Workers started again after an error, a panic or a lost lease.",
		},
		{
			Name: leaseTransitions, Kind: Counter, Unit: "{transition}", Attributes: subject(transitionKey),
			Description: "Changes of the lease, by what happened: acquired, taken_over, released or lost.",
		},
		{
			Name: checkpointDuration, Kind: Histogram, Unit: "s", Attributes: subject(semconv.ErrorTypeKey), Buckets: durationBuckets(),
			Description: "Time a commit of states and checkpoint took.",
		},
	}
}

// SubscriptionConfig names a subscription.
type SubscriptionConfig struct {
	// Name is the projection's name. Required.
	Name string
	// Rebuild says that this one builds a new generation beside the one that is served. Its
	// pages have no links, it measures no delay, and its series are kept apart from the
	// other's by an attribute.
	Rebuild bool
	_       struct{}
}

// Subscription records what the worker of one subscriber key does. It is safe for
// concurrent use and holds nothing that must be closed.
type Subscription struct {
	runtime   *Runtime
	rebuild   bool
	spanName  string
	spanStart []trace.SpanStartOption
	operation []attribute.KeyValue
	subject   []attribute.KeyValue
	done      outcome // operation
	plain     outcome // subject
	leases    map[Transition]outcome
}

// Subscription returns the recorder of a subscription. Several of the same name and kind
// record into the same series.
func (r *Runtime) Subscription(c SubscriptionConfig) *Subscription {
	s := &Subscription{
		runtime:  r,
		rebuild:  c.Rebuild,
		spanName: "process " + c.Name,
		subject:  []attribute.KeyValue{r.store, subscriptionKey.String(c.Name), rebuildKey.Bool(c.Rebuild)},
		leases:   make(map[Transition]outcome),
	}
	s.operation = append([]attribute.KeyValue{
		system,
		semconv.MessagingOperationName("process"),
		semconv.MessagingOperationTypeProcess,
	}, s.subject...)
	s.spanStart = []trace.SpanStartOption{
		trace.WithNewRoot(),
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(s.operation...),
	}
	s.done = newOutcome(s.operation...)
	s.plain = newOutcome(s.subject...)
	for _, t := range []Transition{LeaseAcquired, LeaseTakenOver, LeaseReleased, LeaseLost} {
		s.leases[t] = newOutcome(with(s.subject, transitionKey.String(string(t)))...)
	}
	return s
}

// Delay records the time from an event's append until it was handled. Ignored in rebuilds,
// where it would tell the age of the store.
func (s *Subscription) Delay(d time.Duration) {
	if !s.rebuild {
		s.runtime.delay.Record(context.Background(), max(d, 0).Seconds(), s.plain.record...)
	}
}

// Busy adds time spent on handling and committing.
func (s *Subscription) Busy(d time.Duration) {
	s.runtime.busy.Add(context.Background(), max(d, 0).Seconds(), s.plain.add...)
}

// Retried counts one more attempt at an event.
func (s *Subscription) Retried() {
	s.runtime.retries.Add(context.Background(), 1, s.plain.add...)
}

// Skipped counts events left out.
func (s *Subscription) Skipped(events int) {
	s.runtime.skipped.Add(context.Background(), int64(events), s.plain.add...)
}

// Restarted counts one more start of a worker that had ended unasked.
func (s *Subscription) Restarted() {
	s.runtime.restarts.Add(context.Background(), 1, s.plain.add...)
}

// Transition is a change of a lease.
type Transition string

// The changes of a lease.
const (
	LeaseAcquired  Transition = "acquired"
	LeaseTakenOver Transition = "taken_over" // acquired although another worker held it
	LeaseReleased  Transition = "released"
	LeaseLost      Transition = "lost"
)

// Lease counts a change of the lease. t is one of the constants; another value counts
// nothing.
func (s *Subscription) Lease(t Transition) {
	if out, ok := s.leases[t]; ok {
		s.runtime.transitions.Add(context.Background(), 1, out.add...)
	}
}

// Checkpoint records how long a commit of states and checkpoint took and how it ended.
func (s *Subscription) Checkpoint(d time.Duration, err error) {
	out := s.plain
	if err != nil {
		out = newOutcome(with(s.subject, semconv.ErrorTypeKey.String(errorType(err)))...)
	}
	s.runtime.checkpoints.Record(context.Background(), max(d, 0).Seconds(), out.record...)
}
