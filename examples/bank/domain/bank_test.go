package bank_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// letters is a sender that remembers.
type letters []string

func (l *letters) Send(_ context.Context, _, to, text string) error {
	*l = append(*l, to+": "+text)
	return nil
}

type world struct {
	*testing.T
	bank.Bank
	eng  *engine.Engine
	sent letters
}

func setup(t *testing.T) *world {
	t.Helper()
	return setupOn(t, pebblestore.OpenMem)
}

func setupOn(t *testing.T, open func(*pebblestore.Options) (*store.Store, error)) *world {
	t.Helper()
	st, err := open(&pebblestore.Options{Store: store.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, Bank: bank.Bank{Store: st}}
	t.Cleanup(func() {
		w.must(st.Verify(context.Background(), nil))
		w.must(st.Close())
	})
	notifications := bank.NewNotifications(st, &w.sent).With(projection.Options{Start: store.AtPosition(1)}) // one at a time
	w.eng, err = engine.New(engine.Config{Store: st, Projections: []projection.Projection{
		bank.State, bank.Statements, bank.OwnerViews, bank.Flows, bank.NewTransfers(st), notifications,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"ann", "ben"} {
		w.ok(w.Register(t.Context(), "o-"+id, bank.Registered{Name: id, Address: id + "@example.org"}))
		w.ok(w.Open(t.Context(), id, bank.Opened{OwnerID: "o-" + id, OwnerName: id, Currency: "EUR", Cents: 100}))
	}
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) ok(_ store.Result, err error) { w.Helper(); w.must(err) }

// has checks the balances, as the engine built them.
func (w *world) has(ann, ben int64) {
	w.Helper()
	w.must(w.eng.CatchUp(w.Context()))
	for id, want := range map[string]int64{"ann": ann, "ben": ben} {
		acc, err := bank.State.Get(w.Context(), w.Store, id)
		w.must(err)
		if acc.Value.Cents != want {
			w.Errorf("%s has %d cents, want %d", id, acc.Value.Cents, want)
		}
	}
}

// ends checks how a transfer ended.
func (w *world) ends(id event.ID, want ...string) {
	w.Helper()
	var got []string
	for ev, err := range w.Store.Events(w.Context(), store.Query{Match: store.MatchStreams(bank.Transfers.Stream(id.String()))}) {
		w.must(err)
		got = append(got, ev.Name)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("the transfer was %v, want %v", got, want)
	}
}

func TestATransferMovesMoneyOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := event.NewID()
	for range 2 { // asked twice, as after a lost answer
		w.ok(w.Transfer(t.Context(), id, "ann", "ben", 30))
	}
	w.has(70, 130)
	w.has(70, 130)
	w.ends(id, "requested", "completed")
	flow, err := bank.Flows.Get(t.Context(), w.Store, "ben")
	w.must(err)
	if flow.Value != (bank.Flow{In: 30}) {
		t.Errorf("ben's flow is %+v", flow.Value)
	}
}

func TestATransferBeyondTheBalanceIsRejected(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := event.NewID()
	w.ok(w.Transfer(t.Context(), id, "ann", "ben", 101))
	w.has(100, 100)
	w.ends(id, "requested", "rejected")
}

func TestMoneyForAClosedAccountComesBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ok(w.Close(t.Context(), "ben", "bye"))
	id := event.NewID()
	w.ok(w.Transfer(t.Context(), id, "ann", "ben", 30))
	w.has(100, 0)
	w.ends(id, "requested", "rejected")
	statement, err := bank.Statements.LoadKey(t.Context(), w.Store, bank.StatementKey("ann", opened(w, "ann")))
	w.must(err)
	if want := (bank.Statement{In: 130, Out: 30, Bookings: 3}); statement.Value != want {
		t.Errorf("ann's statement is %+v, want %+v: the money went and came back", statement.Value, want)
	}
}

func TestTheBankRefusesWhatItsRulesForbid(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	refused := func(want error) func(store.Result, error) {
		return func(_ store.Result, err error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	}
	refused(bank.ErrExists)(w.Open(ctx, "ann", bank.Opened{OwnerID: "o-ann"}))
	refused(bank.ErrNoOwner)(w.Open(ctx, "eve", bank.Opened{}))
	refused(bank.ErrNoOwner)(w.Rename(ctx, "o-eve", "Eve"))
	refused(bank.ErrNoAccount)(w.Deposit(ctx, "eve", 1))
	refused(bank.ErrInsufficient)(w.Withdraw(ctx, "ann", 101))
	refused(bank.ErrAmount)(w.Withdraw(ctx, "ann", -1))
	refused(bank.ErrAmount)(w.Deposit(ctx, "ann", 0))
	refused(bank.ErrSameAccount)(w.Transfer(ctx, event.NewID(), "ann", "ann", 1))

	w.ok(w.Freeze(ctx, "ann", "a card was lost"))
	refused(bank.ErrNotActive)(w.Withdraw(ctx, "ann", 1))
	w.ok(w.Deposit(ctx, "ann", 1)) // money may come in
	w.ok(w.Thaw(ctx, "ann"))
	w.ok(w.Withdraw(ctx, "ann", 1))
	w.ok(w.Close(ctx, "ann", "bye"))
	refused(bank.ErrNotActive)(w.Deposit(ctx, "ann", 1))
	w.has(0, 100)
}

func TestTheOwnersNameComesFromAnotherAggregate(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.ok(w.Rename(t.Context(), "o-ann", "Ann Smith"))
	d, err := bank.AccountDetails.Load(t.Context(), w.Store, bank.Accounts.Stream("ann"), bank.Owners.Stream("o-ann"))
	w.must(err)
	if d.Value.OwnerName != "Ann Smith" || d.Value.Cents != 100 {
		t.Errorf("the details are %+v", d.Value)
	}
	w.must(w.eng.CatchUp(t.Context()))
	view, err := bank.OwnerViews.Get(t.Context(), w.Store, "o-ann")
	w.must(err)
	if fmt.Sprint(view.Value) != "{Ann Smith [ann]}" {
		t.Errorf("the owner is %+v", view.Value)
	}
}

func TestAMessageWithoutAnAddressParksUntilItIsRetried(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	w.ok(w.Register(ctx, "o-eve", bank.Registered{Name: "Eve"}))
	w.ok(w.Open(ctx, "eve", bank.Opened{OwnerID: "o-eve", OwnerName: "Eve", Currency: "EUR"}))
	w.ok(w.Transfer(ctx, event.NewID(), "ann", "eve", 5)) // its message waits behind the first one
	w.has(95, 100)
	if len(w.sent) != 2 { // that Ann's and Ben's accounts are open
		t.Fatalf("sent: %q", w.sent)
	}
	w.ok(w.Move(ctx, "o-eve", "eve@example.org"))
	w.must(w.eng.Retry(ctx, "notifications", "eve"))
	w.has(95, 100)
	want := []string{"eve@example.org: Dear Eve, your account eve is open", "eve@example.org: Dear Eve, your account eve got 0.05 from ann"}
	if fmt.Sprintf("%q", w.sent[2:]) != fmt.Sprintf("%q", want) {
		t.Errorf("sent: %q, want %q", w.sent[2:], want)
	}
}
