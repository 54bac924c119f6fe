// Package projectiontest tests the handlers of projections without a store or an engine:
// write a [Log], [Fold] a model over it, or see how an effect reacts ([React]).
//
// States are encoded and decoded between events, as a restart between them would do: a
// field that the codec loses is found here. For whole programs, use pebblestore.OpenMem and
// an engine.
//
// # Failure
//
// What cannot be done, such as an event that does not encode or a definition with faults,
// fails the test at once with tb.Fatal.
package projectiontest
