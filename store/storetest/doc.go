// Package storetest is the contract of a store.Driver as tests and benchmarks. Whoever
// writes a driver calls [Run] from a test and [Bench] from a benchmark, each with a
// [Factory] that opens empty drivers.
//
// Every rule is one subtest, named after the behaviour it asks for and grouped by the
// promise it belongs to, so that a failure reads as the sentence that is not true. Rules
// that need a trait the driver does not promise, an optional interface it does not
// implement, or a function that the Factory does not have, are left out, and Run logs
// which and why.
//
// Most rules talk to the driver, for that is where an author has to look. Promises that
// a driver and a store.Store keep together are tested through a Store on the driver.
//
// Rules that race goroutines do so a bounded number of times: they find what is likely,
// and what they find is a fault. Random rules log their seed; Factory.Seed repeats it.
// After most rules the whole store is read in every way there is, and the answers are
// compared with each other.
package storetest
