package telemetry

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// The names of a store's instruments.
const (
	operationDuration = "messaging.client.operation.duration"
	sentMessages      = "messaging.client.sent.messages"
	appendConflicts   = "riffle.append.conflicts"
	storePosition     = "riffle.store.position"
	syncDuration      = "riffle.store.sync.duration"
	groupEvents       = "riffle.store.group.events"
	groupSize         = "riffle.store.group.size"
)

// storeInstruments describes what a store records. Pebble's numbers are in pebbleReadings.
func storeInstruments() []Instrument {
	operation := func() []string {
		return sorted(semconv.MessagingSystemKey, semconv.MessagingOperationNameKey,
			semconv.MessagingOperationTypeKey, storeKey, semconv.ErrorTypeKey)
	}
	return []Instrument{
		{
			Name: operationDuration, Kind: Histogram, Unit: "s", Attributes: operation(), Buckets: durationBuckets(),
			Description: "Time an append took, from the call until its events were durable or it failed.",
		},
		{
			Name: sentMessages, Kind: Counter, Unit: "{message}", Attributes: operation(),
			Description: "Events that appends tried to write; those without error.type were written.",
		},
		{
			Name: appendConflicts, Kind: Counter, Unit: "{append}", Attributes: sorted(storeKey),
			Description: "Appends refused because a stream was not at the expected version.",
		},
		positionInstrument(),
		{
			Name: syncDuration, Kind: Histogram, Unit: "s", Attributes: sorted(storeKey), Buckets: durationBuckets(),
			Description: "Time a commit waited for the disk to confirm (fsync of the write-ahead log).",
		},
		{
			Name: groupEvents, Kind: Histogram, Unit: "{event}", Attributes: sorted(storeKey), Buckets: countBuckets(),
			Description: "Events that shared one commit to disk.",
		},
		{
			Name: groupSize, Kind: Histogram, Unit: "By", Attributes: sorted(storeKey), Buckets: byteBuckets(),
			Description: "Bytes written by one commit to disk.",
		},
	}
}

func positionInstrument() Instrument {
	return Instrument{
		Name: storePosition, Kind: Gauge, Unit: "{event}", Attributes: sorted(storeKey),
		Description: "The head: the position of the last durable event.",
	}
}

// StoreConfig says which store is measured and where to.
type StoreConfig struct {
	// Name tells the store apart from the others of the process. Required: two stores with
	// one name would overwrite each other's positions.
	Name string
	// TracerProvider and MeterProvider default to OpenTelemetry's globals.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	_              struct{}
}

// Store records what a store and its driver do. It is safe for concurrent use.
type Store struct {
	name  attribute.KeyValue
	meter metric.Meter
	spans *tracing

	duration  metric.Float64Histogram
	sent      metric.Int64Counter
	conflicts metric.Int64Counter
	syncs     metric.Float64Histogram
	events    metric.Int64Histogram
	sizes     metric.Int64Histogram

	// Everything an append without an error needs is made once.
	spanName  string
	spanStart []trace.SpanStartOption
	operation []attribute.KeyValue
	done      outcome
	plain     outcome // the store's name alone
}

// NewStore makes the instruments of a store. It fails when c.Name is empty or the meter
// provider refuses an instrument.
func NewStore(c StoreConfig) (*Store, error) {
	if c.Name == "" {
		return nil, errors.New("telemetry: a store has no name; give it one in its options")
	}
	s := &Store{
		name:     storeKey.String(c.Name),
		meter:    meterOf(c.MeterProvider),
		spans:    newTracing(c.TracerProvider),
		spanName: "append " + c.Name,
	}
	s.operation = []attribute.KeyValue{
		system,
		semconv.MessagingOperationName("append"),
		semconv.MessagingOperationTypeSend,
		s.name,
	}
	s.spanStart = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(s.operation...),
	}
	s.done = newOutcome(s.operation...)
	s.plain = newOutcome(s.name)

	b := newBuilder(s.meter, storeInstruments())
	s.duration = b.float64Histogram(operationDuration)
	s.sent = b.int64Counter(sentMessages)
	s.conflicts = b.int64Counter(appendConflicts)
	s.syncs = b.float64Histogram(syncDuration)
	s.events = b.int64Histogram(groupEvents)
	s.sizes = b.int64Histogram(groupSize)
	if err := b.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// Sync records how long a commit waited for its fsync.
func (t *Store) Sync(d time.Duration) {
	t.syncs.Record(context.Background(), d.Seconds(), t.plain.record...)
}

// Group records the size of a group of appends and commits that reached the disk together.
func (t *Store) Group(events, bytes int) {
	t.events.Record(context.Background(), int64(events), t.plain.record...)
	t.sizes.Record(context.Background(), int64(bytes), t.plain.record...)
}

// ObserveHead reports the store's position whenever metrics are collected, until
// unregister is called. head must not block; it may run once more while unregister
// returns, so it must be safe on a closed store. unregister may be called twice.
func (t *Store) ObserveHead(head func() (position int64)) (unregister func(), err error) {
	position := reading[int64]{
		Instrument: positionInstrument(),
		whole:      func(p *int64, observe observeFunc[int64]) { observe(*p) },
	}
	return observe(t.meter, []reading[int64]{position}, func(yield func(*int64, ...attribute.KeyValue)) {
		yield(new(head()), t.name)
	})
}
