// Package riffle is an event store and a projection runtime for Go, embedded in a
// long-running service: no server to deploy, one directory on disk.
//
// # The packages
//
//   - [github.com/riffle-go/riffle/event]: the vocabulary: events, streams, payloads,
//     metadata, schemas. A domain package imports it alone.
//   - [github.com/riffle-go/riffle/store]: append and read, leases and commits, states; what
//     users hold, whatever the driver.
//   - [github.com/riffle-go/riffle/store/pebblestore]: the embedded driver, on CockroachDB's
//     Pebble.
//   - [github.com/riffle-go/riffle/store/storetest]: the contract of drivers as tests.
//
// # The words
//
// An event is a fact that happened; it is never changed after it is stored. A stream is
// the events of one aggregate, numbered by version 1, 2, 3 …; the whole store numbers its
// events by position 1, 2, 3 …, in the order of their commits. The head is the highest
// position that is durable; nobody is shown anything beyond it. A cursor says where a page
// ended.
//
// docs/guarantees.md says what a store promises and how each promise is tested.
package riffle
