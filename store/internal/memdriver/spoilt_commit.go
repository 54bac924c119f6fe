package memdriver

import (
	"errors"
	"slices"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// plan is state.plan, unless a rule is broken.
func (d *Driver) plan(txn *store.Txn) (change, store.Result, error) {
	if d.opts.Naive == 0 {
		return d.state.plan(txn, d.opts.Clock())
	}
	txn = d.withoutGuards(txn)
	c, res, err := d.state.plan(txn, d.opts.Clock())
	if err != nil {
		d.refused(txn, err)
		return c, res, err
	}
	if len(txn.Appends) > 0 {
		c, res, err = d.planLater(txn, c, res)
	}
	if d.breaks(FenceKeepsTerm) {
		c.puts = slices.DeleteFunc(c.puts, func(r store.Record) bool { return slices.Contains(txn.Fence, r.Key) })
	}
	return c, res, err
}

func (d *Driver) withoutGuards(txn *store.Txn) *store.Txn {
	out := *txn
	out.Guards = slices.DeleteFunc(slices.Clone(txn.Guards), func(g store.Guard) bool {
		return d.claimed[g.Key] && d.breaks(CommitsWithoutTerm) || !d.claimed[g.Key] && d.breaks(CommitsWithoutFrom)
	})
	return &out
}

// planLater lets other calls come between the plan and the write.
func (d *Driver) planLater(txn *store.Txn, c change, res store.Result) (change, store.Result, error) {
	var err error
	switch {
	case d.breaks(PositionBeforeCommit):
		first := max(d.reserved, d.state.last().Position) + 1
		d.reserved = first + event.Position(len(c.events)) - 1
		d.window()
		c, res, err = d.state.plan(txn, d.opts.Clock())
		renumber(&c, &res, first)
	case d.breaks(CheckThenWrite):
		d.window()
		c, res, err = d.state.plan(unchecked(txn, func(a *store.Appending) { a.Expect = store.Any }), d.opts.Clock())
	case d.breaks(OnceThenWrite) && slices.ContainsFunc(txn.Appends, func(a store.Appending) bool { return a.Once }):
		d.window()
		c, res, err = d.state.plan(unchecked(txn, func(a *store.Appending) { a.Once = false }), d.opts.Clock())
		for i := range c.events {
			c.events[i].once = true
		}
	case d.breaks(CallersVersion):
		d.window()
		renumber(&c, &res, d.state.last().Position+1)
	case d.breaks(RefusedTakesPosition):
		renumber(&c, &res, d.state.last().Position+1+d.wasted)
		d.wasted = 0
	}
	return c, res, err
}

func unchecked(txn *store.Txn, relax func(*store.Appending)) *store.Txn {
	out := *txn
	out.Appends = slices.Clone(txn.Appends)
	for i := range out.Appends {
		relax(&out.Appends[i])
	}
	return &out
}

func renumber(c *change, res *store.Result, first event.Position) {
	for i := range c.events {
		c.events[i].Position = first + event.Position(i)
	}
	if n := len(c.events); n > 0 {
		res.First, res.Position = first, c.events[n-1].Position
	}
}

// refused leaves behind what a refused Txn must not leave.
func (d *Driver) refused(txn *store.Txn, refusal error) {
	conflict, isConflict := errors.AsType[*store.ConflictError](refusal)
	isGuard := errors.Is(refusal, store.ErrGuard)
	var part store.Txn
	if isConflict && d.breaks(PartialBatches) {
		part.Appends = txn.Appends[:conflict.Batch]
	}
	if isGuard && d.breaks(EventsBeforeGuards) {
		part.Appends = txn.Appends
	}
	if isGuard && d.breaks(PutsBeforeGuards) || isConflict && d.breaks(PutsBeforeConflict) {
		part.Puts = txn.Puts
	}
	if len(part.Appends) > 0 || len(part.Puts) > 0 {
		if c, _, err := d.state.plan(&part, d.opts.Clock()); err == nil {
			d.write(c)
		}
	}
	if len(txn.Appends) > 0 {
		d.wasted++
	}
	if d.breaks(RefusedLeavesType) {
		for _, a := range txn.Appends {
			for i := range a.Events {
				d.state.types[event.Type{Aggregate: a.Stream.Aggregate, Name: a.Events[i].Name}] = struct{}{}
			}
		}
	}
}
