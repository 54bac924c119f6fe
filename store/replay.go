package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/riffle-go/riffle/event"
)

// refused finds out whether an append was refused because it was done before. It returns
// the first result then, and else the error that is due.
func (s *Store) refused(ctx context.Context, txn *Txn, refusal error) (Result, error) {
	dup, isDup := errors.AsType[*DuplicateError](refusal)
	_, isConflict := errors.AsType[*ConflictError](refusal)
	if !isDup && !isConflict {
		return Result{}, refusal
	}
	r := replay{core: s.core, appends: txn.Appends, runs: make([][]event.Event, len(txn.Appends))}
	res, found, err := r.find(ctx, dup)
	switch {
	case err != nil && errors.Is(err, ErrIDReused):
		return Result{}, err
	case err != nil:
		return Result{}, fmt.Errorf("store: append was refused, and %w whether an earlier try was stored: %w", ErrUnknown, err)
	case found:
		return res, nil
	}
	return Result{}, refusal
}

// replay looks for the events of a refused append in the store. An append is all or
// nothing: either all its events are there, or none.
type replay struct {
	*core
	appends []Appending
	runs    [][]event.Event // of each appending, where it was found

	events, equal int // looked for, and found as they are
	witness       *IDReusedError
}

// find returns the first result when the whole append is stored, an *IDReusedError when a
// part of it is, and found = false when nothing is.
func (r *replay) find(ctx context.Context, dup *DuplicateError) (res Result, found bool, err error) {
	anchor := -1
	for i := range r.appends {
		a := &r.appends[i]
		var run []event.Event
		version, exact := a.Expect.Version()
		switch {
		case dup != nil && a.Once:
			run, err = r.byPosition(ctx, a, dup)
		case exact:
			run, err = r.run(ctx, a, Scan{MinVersion: version + 1})
		default:
			continue
		}
		if err != nil {
			return Result{}, false, err
		}
		if r.compare(i, run) {
			anchor = i
		}
	}
	if r.equal == 0 && r.witness == nil {
		return Result{}, false, nil
	}
	if r.equal < r.events {
		return Result{}, false, r.witness
	}
	if err := r.neighbours(ctx, anchor); err != nil {
		return Result{}, false, err
	}
	if r.equal < r.events {
		return Result{}, false, r.witness
	}
	return r.result(), true, nil
}

// byPosition reads where the driver says that the ids of an appending are.
func (r *replay) byPosition(ctx context.Context, a *Appending, dup *DuplicateError) ([]event.Event, error) {
	skip := 0
	for i := range r.appends {
		if &r.appends[i] == a {
			break
		}
		if r.appends[i].Once {
			skip += len(r.appends[i].Events)
		}
	}
	if len(dup.Positions) < skip+len(a.Events) {
		return nil, fmt.Errorf("store: the driver reports %d positions of duplicates, fewer than there are events", len(dup.Positions))
	}
	at := dup.Positions[skip : skip+len(a.Events)]
	for i, p := range at {
		if p != 0 {
			r.testify(a.Events[i].ID, p)
		}
	}
	if at[0] == 0 {
		return nil, nil
	}
	run, err := r.run(ctx, a, Scan{From: at[0]})
	for i := range run {
		if run[i].Position != at[i] {
			return nil, err // ids of the append, but not as one append
		}
	}
	return run, err
}

// neighbours finds the appendings that nothing but the others tells where to look for. The
// events of one append are next to each other in the log, in its order, so those of another
// stream are the nearest ones there before or behind.
func (r *replay) neighbours(ctx context.Context, anchor int) error {
	for i := range r.appends {
		if r.runs[i] != nil {
			continue
		}
		a := &r.appends[i]
		scan := Scan{From: last(r.runs[anchor]).Position + 1}
		if i < anchor {
			scan = Scan{To: r.runs[anchor][0].Position - 1, Backward: true}
		}
		if scan.Backward && scan.To == 0 {
			r.events += len(a.Events)
			continue
		}
		run, err := r.run(ctx, a, scan)
		if err != nil {
			return err
		}
		if scan.Backward {
			slices.Reverse(run)
		}
		r.compare(i, run)
	}
	return nil
}

// run reads as many events of an appending's stream as it has.
func (r *replay) run(ctx context.Context, a *Appending, scan Scan) ([]event.Event, error) {
	scan.Match = MatchStreams(a.Stream)
	return r.firstFew(ctx, r.driver, scan, len(a.Events))
}

// compare counts the events of an appending that are in a run at their place, and says
// whether all are.
func (r *replay) compare(i int, run []event.Event) bool {
	a := &r.appends[i]
	r.events += len(a.Events)
	equal := 0
	for k := range min(len(run), len(a.Events)) {
		if run[k].ID != a.Events[k].ID {
			continue
		}
		r.testify(run[k].ID, run[k].Position)
		if k == 0 || run[k].Version == run[0].Version+uint64(k) {
			equal++
		}
	}
	if version, exact := a.Expect.Version(); exact && len(run) > 0 && run[0].Version != version+1 {
		equal = 0
	}
	r.equal += equal
	if equal == len(a.Events) {
		r.runs[i] = run
	}
	return equal == len(a.Events)
}

// testify keeps the first proof that an id of the append is stored.
func (r *replay) testify(id event.ID, p event.Position) {
	if r.witness == nil {
		r.witness = &IDReusedError{ID: id, Position: p}
	}
}

func (r *replay) result() Result {
	return Result{
		First: r.runs[0][0].Position, Position: last(last(r.runs)).Position,
		Version: last(r.runs[0]).Version, Time: last(last(r.runs)).Time, Replayed: true,
	}
}

func last[T any](s []T) T { return s[len(s)-1] }
