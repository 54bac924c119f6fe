package store

import (
	"context"
	"iter"
)

// How a listing of records is read: pages by number, and fewer when records are large,
// since a state may have megabytes.
const (
	fewRecords  = 16
	mostRecords = 512
	pageBytes   = 1 << 20
)

// records yields the records whose keys begin with prefix and are greater than after; most
// is how many in all, 0 is all. Nothing of the driver is held while the loop's body runs.
func (c *core) records(ctx context.Context, prefix, after string, most int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for n, left := fewRecords, most; ; {
			if left > 0 {
				n = min(n, left)
			}
			page, err := c.list(ctx, prefix, after, n)
			if err != nil {
				yield(Record{}, err)
				return
			}
			bytes := 0
			for _, r := range page {
				bytes += len(r.Value)
				if !yield(r, nil) {
					return
				}
			}
			if len(page) < n || left == n {
				return
			}
			if left > 0 {
				left -= len(page)
			}
			after = page[len(page)-1].Key
			n = nextPage(n, bytes)
		}
	}
}

func nextPage(n, bytes int) int {
	if bytes > pageBytes {
		return max(n/2, 1)
	}
	return min(n*2, mostRecords)
}

// deleteAll deletes the records with a prefix, CommitItems at a time, each time under the
// guards.
func (c *core) deleteAll(ctx context.Context, prefix string, guards ...Guard) error {
	var keys []string
	for rec, err := range c.records(ctx, prefix, "", 0) {
		if err != nil {
			return err
		}
		if keys = append(keys, rec.Key); len(keys) < c.limits.CommitItems {
			continue
		}
		if _, err := c.commit(ctx, &Txn{Guards: guards, Deletes: keys}); err != nil {
			return err
		}
		keys = nil
	}
	if len(keys) == 0 {
		return nil
	}
	_, err := c.commit(ctx, &Txn{Guards: guards, Deletes: keys})
	return err
}
