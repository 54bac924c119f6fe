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
//   - [github.com/riffle-go/riffle/projection]: what to do with an event: models, effects, sinks.
//   - [github.com/riffle-go/riffle/projection/sqlsink]: sinks into SQLite and PostgreSQL.
//   - [github.com/riffle-go/riffle/snapshot]: serialized states, their cache and undo.
//   - [github.com/riffle-go/riffle/worker]: the work on one subscriber key.
//   - [github.com/riffle-go/riffle/engine]: supervises workers; control, waiting, health.
//
// The whole system in one sentence: the engine supervises workers; a worker claims a
// subscriber key by a lease, pages through the store by cursor, applies the handlers of a
// projection, saves snapshots and acknowledges, with its lag measured.
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
