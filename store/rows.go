package store

import (
	"context"
	"iter"
	"strings"
)

// afterRows follows a row's key in the bound behind all its rows.
var afterRows = strings.Repeat("\xff", 8)

// Rows yields the events that were set aside, by key, then position; the range is of keys,
// its Limit counts rows. The first error is yielded last.
func (u *Subscriber) Rows(ctx context.Context, r Range) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		err := u.ready(ctx)
		if err == nil {
			err = checkRange(r)
		}
		if err == nil {
			prefix, after := narrow(rowsPrefix(u.key), r, afterRows)
			err = u.eachRow(ctx, prefix, after, r.Limit, yield)
		}
		if err != nil {
			yield(Row{}, err)
		}
	}
}

// KeyRows yields the events of one key that were set aside, by position. The first error is
// yielded last.
func (u *Subscriber) KeyRows(ctx context.Context, key string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		err := u.ready(ctx)
		if err == nil {
			err = checkKeyText("Key", key)
		}
		if err == nil {
			record := rowRecord(u.key, RowKey{Key: key})
			err = u.eachRow(ctx, record[:len(record)-8], "", 0, yield)
		}
		if err != nil {
			yield(Row{}, err)
		}
	}
}

func (u *Subscriber) eachRow(ctx context.Context, prefix, after string, most int, yield func(Row, error) bool) error {
	for rec, err := range u.store.records(ctx, prefix, after, most) {
		if err != nil {
			return err
		}
		row, err := decodeRow(rec)
		if err != nil {
			return err
		}
		if !yield(row, nil) {
			return nil
		}
	}
	return nil
}
