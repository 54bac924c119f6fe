package snapshot

import (
	"errors"
	"fmt"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// Seal encodes a state. version is that of its stream, or 0; at is the last position
// folded into it. An encoding that fails is an [*EncodeError].
func Seal(c event.Codec, k store.SnapshotKey, state any, revision int, version uint64, at event.Position) (store.Snapshot, error) {
	data, err := c.Marshal(state)
	if err != nil {
		return store.Snapshot{}, &EncodeError{Key: k.Key, Err: err}
	}
	return store.Snapshot{
		Key: k, State: data, ContentType: c.ContentType(),
		Revision: revision, Version: version, Position: at,
	}, nil
}

// Open decodes a snapshot into state, a pointer. A snapshot of another content type than
// the codec's is refused, since bytes of one format may be read without an error by
// another. The error is a [*DecodeError].
func Open(c event.Codec, sn store.Snapshot, state any) error {
	if sn.ContentType != c.ContentType() {
		return &DecodeError{Snapshot: sn.Key, Err: fmt.Errorf("it is %q, but the model's codec writes %q; a codec that changes needs a new revision of the model", sn.ContentType, c.ContentType())}
	}
	if len(sn.State) == 0 && sn.ContentType == event.JSON().ContentType() {
		return &DecodeError{Snapshot: sn.Key, Err: errors.New("it is empty")}
	}
	if err := c.Unmarshal(sn.State, state); err != nil {
		return &DecodeError{Snapshot: sn.Key, Err: err}
	}
	return nil
}

// EncodeError says that the state of a key cannot be encoded.
type EncodeError struct {
	Key string
	Err error
}

func (e *EncodeError) Error() string {
	return fmt.Sprintf("snapshot: state of key %q cannot be encoded: %v", e.Key, e.Err)
}

// ErrorType is the error.type attribute of telemetry.
func (*EncodeError) ErrorType() string { return "state_encode" }

func (e *EncodeError) Unwrap() error { return e.Err }

// DecodeError says that a stored state cannot be read.
type DecodeError struct {
	Snapshot store.SnapshotKey
	Err      error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("snapshot: stored state %q of %s, generation %d, cannot be decoded: %v",
		e.Snapshot.Key, e.Snapshot.Projection, e.Snapshot.Generation, e.Err)
}

// ErrorType is the error.type attribute of telemetry.
func (*DecodeError) ErrorType() string { return "state_decode" }

func (e *DecodeError) Unwrap() error { return e.Err }
