// Package telemetry holds Riffle's OpenTelemetry instruments and spans. The rest of Riffle
// says what happened (an append ended, a page was handled); this package knows the names,
// units, attributes and buckets.
//
// There is one [Store] per store and one [Runtime] per engine. A Runtime gives a
// [Subscription] for each subscriber key at work, and observes the state of all of them
// with a single callback.
//
// The package depends on the OpenTelemetry API alone. Providers are given, or the globals
// are used; with neither, everything here is a no-op that costs nanoseconds. What is
// emitted is listed by [Instruments] and [Spans], and in docs/observability.md; a test
// holds the three and the emitted data together.
//
// Attributes never carry stream ids, event ids or error texts: their number of values is
// bounded by what the program defines (store names, subscription names, states, outcomes).
// An error appears as its ErrorType method's value, or as "_OTHER".
//
// # Failure
//
// The constructors and the Observe methods return an error when a provider refuses an
// instrument. Recording never fails.
//
// All types are safe for concurrent use, except [Append] and [Process]: these are values
// that belong to the one call they measure and are ended once.
package telemetry
