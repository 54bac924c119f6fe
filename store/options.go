package store

import (
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffle-go/riffle/event"
)

// Options are the optional settings of a store. They are copied; later changes of the
// value have no effect.
type Options struct {
	// Name tells stores apart in telemetry and logs. Default "riffle".
	Name string
	// Schema encodes and decodes payloads. Default: JSON, no upcasters.
	Schema *event.Schema
	// Logger. Default slog.Default().
	Logger *slog.Logger
	// TracerProvider and MeterProvider default to OpenTelemetry's globals.
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	// Replica, when set, serves Read, Events and the listings. Appends, commits, leases and
	// everything that decides go to the primary. The Store closes it. It is for drivers that
	// have replicas; the embedded one has none.
	Replica Driver
	// Limits lower the driver's limits; a zero field keeps the driver's.
	Limits Limits
	_      struct{}
}

// Validate returns all faults of the options at once, joined *InvalidErrors, for a driver
// with the given limits. New does the same; a driver that opens something asks before it
// does.
func (o *Options) Validate(driver Limits) error {
	var faults []error
	if o.Name != "" {
		faults = append(faults, checkName("Options.Name", o.Name))
	}
	if o.Schema != nil {
		faults = append(faults, o.Schema.Err())
	}
	_, err := driver.lowered(o.Limits)
	return errors.Join(append(faults, err)...)
}
