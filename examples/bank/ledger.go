package main

import (
	"context"
	"slices"

	"github.com/riffle-go/riffle/event"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/store"
)

// ledger is the log, added up without any projection.
type ledger struct {
	head                   event.Position
	accounts               map[string]int64 // cents
	transfers              map[string]*transfer
	notified               map[event.Position]string // event ids
	paidIn, paidOut, moved int64
}

// transfer counts the events of one transfer, in all streams.
type transfer struct {
	cents                                                    int64
	requested, sent, received, returned, completed, rejected int
	wrong                                                    bool // an amount differs from the request
}

// settled says whether the transfer has ended, once, in one of the three ways it can.
func (t transfer) settled() bool {
	ended := transfer{cents: t.cents, requested: 1}
	ok, refused, back := ended, ended, ended
	ok.sent, ok.received, ok.completed = 1, 1, 1
	refused.rejected = 1
	back.sent, back.returned, back.rejected = 1, 1, 1
	return t == ok || t == refused || t == back
}

// readLedger reads the log up to its head.
func readLedger(ctx context.Context, st *store.Store) (*ledger, error) {
	head, err := st.Head(ctx)
	if err != nil {
		return nil, err
	}
	l := &ledger{
		head:     head.Position,
		accounts: map[string]int64{}, transfers: map[string]*transfer{}, notified: map[event.Position]string{},
	}
	if head.Position == 0 {
		return l, nil
	}
	for ev, err := range st.Events(ctx, store.Query{To: store.AtPosition(head.Position)}) {
		if err == nil {
			err = l.add(ev)
		}
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *ledger) add(ev event.Event) error {
	if slices.Contains(bank.Notified, ev.Type()) {
		l.notified[ev.Position] = ev.ID.String()
	}
	account := ev.Stream.ID
	switch ev.Type() {
	case bank.Opened{}.EventType():
		e, err := event.Decode[bank.Opened](ev)
		l.accounts[account], l.paidIn = e.Cents, l.paidIn+e.Cents
		return err
	case bank.Deposited{}.EventType():
		e, err := event.Decode[bank.Deposited](ev)
		l.accounts[account], l.paidIn = l.accounts[account]+e.Cents, l.paidIn+e.Cents
		return err
	case bank.Withdrawn{}.EventType():
		e, err := event.Decode[bank.Withdrawn](ev)
		l.accounts[account], l.paidOut = l.accounts[account]-e.Cents, l.paidOut+e.Cents
		return err
	case bank.Sent{}.EventType():
		e, err := event.Decode[bank.Sent](ev)
		l.accounts[account] -= e.Cents
		l.of(e.Transfer, e.Cents).sent++
		return err
	case bank.Received{}.EventType():
		e, err := event.Decode[bank.Received](ev)
		l.accounts[account] += e.Cents
		l.of(e.Transfer, e.Cents).received++
		return err
	case bank.Returned{}.EventType():
		e, err := event.Decode[bank.Returned](ev)
		l.accounts[account] += e.Cents
		l.of(e.Transfer, e.Cents).returned++
		return err
	case bank.Requested{}.EventType():
		e, err := event.Decode[bank.Requested](ev)
		l.of(ev.Stream.ID, e.Cents).requested++
		return err
	case bank.Completed{}.EventType():
		e, err := event.Decode[bank.Completed](ev)
		l.moved += e.Cents
		l.of(ev.Stream.ID, e.Cents).completed++
		return err
	case bank.Rejected{}.EventType():
		t := l.of(ev.Stream.ID, 0)
		t.rejected++
	}
	return nil
}

// of returns the transfer that an event belongs to. The first one, the request, says how
// much is moved; 0 is an event without an amount.
func (l *ledger) of(id string, cents int64) *transfer {
	t := l.transfers[id]
	if t == nil {
		t = &transfer{cents: cents}
		l.transfers[id] = t
	}
	t.wrong = t.wrong || cents != 0 && cents != t.cents
	return t
}
