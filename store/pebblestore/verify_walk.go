package pebblestore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// maxWindow is how many positions of the log are walked with one iterator. An iterator
// looks ahead in each level, and so meets damage that lies behind what it reads; a window
// that fails is therefore walked again in smaller ones.
const maxWindow = 1 << 16

// gap is a range of positions of the log that cannot be read.
type gap struct{ from, behind uint64 }

func (v *verification) isLost(pos uint64) bool {
	return slices.ContainsFunc(v.lost, func(g gap) bool { return g.from <= pos && pos < g.behind })
}

// walk hands f the entries between two keys. damage is what ended it when f did not, last
// the key before that, nil when there was none.
func (v *verification) walk(ctx context.Context, lower, upper []byte, f func(key, value []byte) error) (last []byte, damage, err error) {
	iter, err := v.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err, nil
	}
	n := 0
	for ok := iter.First(); ok; ok = iter.Next() {
		if n++; n%yieldEvery == 0 {
			runtime.Gosched()
			if ctx.Err() != nil {
				return last, nil, closing(iter, context.Cause(ctx))
			}
		}
		value, err := iter.ValueAndErr()
		if err != nil {
			_ = iter.Close() // which may tell the same again
			return last, err, nil
		}
		last = append(last[:0], iter.Key()...)
		if err := f(last, value); err != nil {
			return last, nil, closing(iter, err)
		}
	}
	return last, iter.Close(), nil
}

// events walks the log up to the head. Positions that cannot be read are a fault, once for
// each gap; the walk goes on behind it, and skipped is told where.
func (v *verification) events(ctx context.Context, skipped func(behind uint64), f func(key, value []byte) error) error {
	lower := []byte{spaceLog} // what sorts before the first event is a fault too
	for from, n := uint64(1), uint64(maxWindow); from <= v.head; {
		to := min(from+n-1, v.head)
		last, damage, err := v.walk(ctx, lower, logKey(to+1), f)
		switch {
		case err != nil:
			return err
		case damage == nil:
			from, n = to+1, min(n*2, maxWindow)
		case !pebble.IsCorruptionError(damage):
			return v.d.readError("block", lower, damage)
		default:
			if len(last) >= 9 {
				from = max(from, binary.BigEndian.Uint64(last[1:])+1)
			}
			if from < to {
				n = (to - from + 1) / 2
				break
			}
			if from > to { // the last event of the window was handed out
				n = 1
				break
			}
			if from, err = v.behindGap(from, damage); err != nil {
				return err
			}
			n = 1
			skipped(from)
		}
		lower = logKey(from)
	}
	return nil
}

// behindGap tells of positions that cannot be read and returns the first one behind them.
func (v *verification) behindGap(from uint64, damage error) (behind uint64, err error) {
	if i := slices.IndexFunc(v.lost, func(g gap) bool { return g.from == from }); i >= 0 { // of an earlier walk
		return v.lost[i].behind, nil
	}
	if behind, err = v.readableFrom(from); err != nil {
		return 0, err
	}
	v.lost = append(v.lost, gap{from, behind})
	again := fmt.Sprintf("events can be read again from position %d", behind)
	if behind > v.head {
		again = "no event behind it can be read"
	}
	return behind, v.block("log", "position "+event.Position(from).String(), damage, again)
}

// readableFrom finds, behind a position that cannot be read, one that can while the one
// before it cannot; none is the head + 1. Positions are dense, so it can try some, at
// growing distances.
func (v *verification) readableFrom(bad uint64) (uint64, error) {
	good := v.head + 1
	for first, step := bad, uint64(1); first+step <= v.head; step *= 2 {
		ok, err := v.readable(first + step)
		if err != nil {
			return 0, err
		}
		if ok {
			good = first + step
			break
		}
		bad = first + step
	}
	for bad+1 < good {
		middle := bad + (good-bad)/2
		ok, err := v.readable(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			good = middle
		} else {
			bad = middle
		}
	}
	return good, nil
}

// readable says whether a position can be read; whether it holds an event is another
// question.
func (v *verification) readable(pos uint64) (bool, error) {
	_, damage, err := v.walk(context.Background(), logKey(pos), logKey(pos+1), func(_, _ []byte) error { return nil })
	switch {
	case pebble.IsCorruptionError(damage):
		return false, nil
	case damage != nil:
		return false, v.d.readError("block", logKey(pos), damage)
	}
	return true, err
}

// each walks an index. A damaged block is a fault, and the walk goes on behind the table of
// the block, since the keys of an index cannot be guessed; skipped is told of it.
func (v *verification) each(ctx context.Context, space byte, skipped func(), f func(key, value []byte) error) error {
	return v.between(ctx, []byte{space}, []byte{space + 1}, skipped, f)
}

func (v *verification) between(ctx context.Context, lower, upper []byte, skipped func(), f func(key, value []byte) error) error {
	for bytes.Compare(lower, upper) < 0 {
		last, damage, err := v.walk(ctx, lower, upper, f)
		if err != nil || damage == nil {
			return err
		}
		if last != nil {
			lower = append(last, 0)
		}
		if !pebble.IsCorruptionError(damage) {
			return v.d.readError("block", lower, damage)
		}
		begin, behind, rest := upper, upper, "the rest of it is not checked"
		if info := pebble.ExtractDataCorruptionInfo(damage); info != nil && bytes.Compare(info.Bounds.End.Key, lower) >= 0 {
			begin, behind, rest = info.Bounds.Start, append(slices.Clone(info.Bounds.End.Key), 0), "its table is not checked to the end"
			if last == nil {
				last = begin
			}
		}
		where := spaceTitles[upper[0]-1]
		if last != nil {
			where = v.dict.place(last)
		}
		if err := v.block(spaceTitles[lower[0]], where, damage, rest); err != nil {
			return err
		}
		skipped()
		if bytes.Compare(begin, upper) < 0 { // an iterator meets damage ahead of what it reads
			if err := v.between(ctx, lower, begin, skipped, f); err != nil {
				return err
			}
		}
		skipped()
		lower = behind
	}
	return nil
}

// block is a fault of a block, with what it means for the check. Each file has one, but for
// those of the log.
func (v *verification) block(what, at string, damage error, rest string) error {
	if info := pebble.ExtractDataCorruptionInfo(damage); info != nil {
		v.told[info.Path] = struct{}{}
	}
	return v.fault(what, at, fmt.Errorf("%w (%s)", plainDamage(damage), rest))
}

var errTold = errors.New("told already")

func unlessTold(err error) error {
	if errors.Is(err, errTold) {
		return nil
	}
	return err
}

// get reads a value: pebble.ErrNotFound where there is none, errTold where it is damaged
// and that is among the faults.
func (v *verification) get(key []byte) ([]byte, error) {
	value, closer, err := v.db.Get(key)
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		return nil, err
	case pebble.IsCorruptionError(err):
		if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
			if _, ok := v.told[info.Path]; ok {
				return nil, errTold
			}
			v.told[info.Path] = struct{}{}
		}
		damage := &store.CorruptError{What: "block", Key: v.dict.place(key), Err: plainDamage(err)}
		if err := v.fault(damage.What, damage.Key, damage); err != nil {
			return nil, err
		}
		return nil, errTold
	case err != nil:
		return nil, v.d.readError("block", key, err)
	}
	defer closer.Close()
	return slices.Clone(value), nil
}
