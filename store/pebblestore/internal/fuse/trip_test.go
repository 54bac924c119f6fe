package fuse

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestTripKeepsTheFirstCause(t *testing.T) {
	t.Parallel()
	f := Wrap(vfs.NewMem())
	if err := f.Err(); err != nil {
		t.Fatalf("Err() = %v before any failure", err)
	}
	f.Trip(errDisk) // before Arm: Fatalf during Open must not be lost
	f.Trip(errors.New("later"))
	receive(t, "Failed", f.Failed())
	blown, ok := errors.AsType[*Error](f.Err())
	if !ok || blown.Op != OpTrip || blown.Err != errDisk {
		t.Errorf("Err() = %v, want the first cause", f.Err())
	}

	g := Wrap(vfs.NewMem())
	g.Trip(fmt.Errorf("wrapped: %w", f.Err()))
	if g.Err() != error(blown) {
		t.Errorf("Err() = %v, want the *Error that was given", g.Err())
	}

	h := Wrap(vfs.NewMem())
	h.Trip(nil)
	if blown, ok := errors.AsType[*Error](h.Err()); !ok || blown.Err == nil {
		t.Errorf("after Trip(nil) Err() = %#v, want an *Error with a cause", h.Err())
	}
}
