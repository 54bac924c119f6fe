package projection

import (
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/snapshot"
	"github.com/riffle-go/riffle/store"
)

// Options are the optional settings of a projection. The zero value of each field is its
// default. A setting that has no meaning for the kind of projection is a fault, so that
// nobody relies on it in vain.
type Options struct {
	// RoutingKey restricts the projection to streams with this routing key; new("") to those
	// without one. Default nil: all. A model that changes it is built again. An effect or a
	// sink cannot change it, since it would miss events of its past: Run refuses that.
	RoutingKey *string

	// Streams restricts the projection to these streams. Default: all.
	Streams []event.Stream

	// Strict makes an event that no handler takes a failure: every event of the aggregates
	// whose events are handled, and of Streams, must have a handler or be in Ignore. Default
	// false: such events are not even read.
	Strict bool

	// Ignore lists types that Strict lets pass. Default: none.
	Ignore []event.Type

	// Start is where an effect or a sink begins that never ran; afterwards its checkpoint
	// counts. An effect must say it: store.AtHead() for what happens from now on,
	// store.AtPosition(1) for all of history, or any other Point, which is an inclusive lower
	// bound. A sink begins with all of history by default. Models always do, and refuse it.
	Start store.Point

	// Delay is how long a worker waits before its first page, for example to let the rest of
	// a service start. Default 0.
	Delay time.Duration

	// PageSize is how many events are read at once. Default store.DefaultPageSize (500), at
	// most store.MaxPageSize.
	PageSize int

	// Concurrency is how many events of different keys an effect handles at the same time.
	// Default 1. Events of one key are always handled in order, one at a time.
	Concurrency int

	// Key gives the key of an event: of the state it is folded into, or, in effects and sinks,
	// of those events that must stay in order. Default: the id of the event's stream. FoldBy
	// goes before it. It must be a pure function, and the result 1 to 384 bytes of UTF-8.
	Key func(ev event.Event) string

	// CommitEvery is the longest time between commits while there is work. Default 200 ms for
	// models and 100 ms for effects. Sinks commit every page.
	CommitEvery time.Duration

	// Retry is the schedule by which a failed event is tried again. Default: that of its fields,
	// 10 attempts, the last ones an hour apart.
	Retry Retry

	// OnFailure says what becomes of an event whose attempts are used up. Default FailPark.
	OnFailure Failure

	// ParkUnkeyed parks an event whose keys cannot be found (its payload does not decode, or
	// its key is invalid) under the id of its stream. Default false: the projection halts,
	// because nobody knows whose order would suffer.
	ParkUnkeyed bool

	// Revision is the number of the definition. A higher one than that of the stored states
	// rebuilds a model; raise it when folds compute something else. Changes of the state's
	// shape and of the handled events are found without it. Default 0. Not for effects.
	Revision int

	// OnChange says what happens when the stored states were built by another definition.
	// Default ChangeRebuild: build anew beside them, then switch. Only for models.
	OnChange Change

	// Codec encodes the states of a model. Default: JSON, or protobuf when the state is a
	// protobuf message.
	Codec event.Codec

	// SnapshotEvery is after how many events read by one Load a model keeps a snapshot of the
	// result, for the next Load. Default 256; SnapshotNever keeps none. For models that an
	// engine runs that happens only while it is behind: their states are kept anyway.
	SnapshotEvery int

	// BatchEmits lets an effect handle further events before those that it emitted are
	// committed. Default false: an event that emitted ends the commit, so that the next one
	// sees what it did. Set it for effects that emit with store.Any only.
	BatchEmits bool

	// Repeat allows to rewind an effect, which repeats what it does, and what it emits.
	// Default false.
	Repeat bool

	// RenamedFrom is the former name of the projection: its checkpoint and states are taken
	// over when there are none under the new name. Default: none.
	RenamedFrom string

	_ struct{}
}

// SnapshotNever is for Options.SnapshotEvery.
const SnapshotNever = int(snapshot.Never)

// Retry is the schedule of the attempts at one event. The first three follow each other at
// once, after 0.2 s and after 0.8 s. Then the event is set aside, with its key, until it
// is due again, and everything else goes on.
type Retry struct {
	// Attempts in all, including the first. Default 10. 1 is no retry.
	Attempts int
	// Initial is the time from the third attempt to the fourth; it triples from attempt to
	// attempt. Default 5 s.
	Initial time.Duration
	// Max is the longest time between attempts. Default 1 h.
	Max time.Duration
	_   struct{}
}

// Failure says what becomes of an event whose attempts are used up.
type Failure = program.Failure

// The answers to a failure.
const (
	// FailPark sets the event aside with its error, and later events of its key behind it,
	// until an operator retries or skips it.
	FailPark = program.FailPark
	// FailSkip records the event as skipped and goes on with its key.
	FailSkip = program.FailSkip
	// FailHalt stops the projection.
	FailHalt = program.FailHalt
)

// Change says what becomes of stored states that another definition built.
type Change = program.Change

// The answers to a change.
const (
	// ChangeRebuild builds the model again beside the old states, then switches.
	ChangeRebuild = program.ChangeRebuild
	// ChangeHalt stops the model until somebody calls engine.Rebuild.
	ChangeHalt = program.ChangeHalt
)
