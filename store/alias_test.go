package store_test

import (
	"testing"
	"testing/synctest"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// received is deposited under its later name.
type received struct{}

func (received) EventType() event.Type { return event.Aggregate("money").Event("in") }

func TestAliasesFindOldNames(t *testing.T) {
	t.Parallel()
	st, d := setup(t, memdriver.Options{})
	deposit(t, st, "a", 1)
	library(t, st, 3)
	money := event.Aggregate("money").Event("in")
	renamed := open(t, d.Reopen(), func(o *store.Options) {
		o.Schema = event.NewSchema(event.Alias(deposited{}.EventType(), money))
	})
	events := collect(t, renamed.Events(t.Context(), store.Query{Match: store.MatchTypes(money)}))
	wantList(t, "positions", positions(events), []event.Position{1, 2})
	wantEqual(t, "Type", events[0].Type(), money)
	wantEqual(t, "Name", events[0].Name, "deposited")
	if _, err := renamed.Append(t.Context(), store.Batch{Stream: event.Aggregate("money").Stream("a"), Events: event.Of(received{})}); err != nil {
		t.Fatal(err)
	}
	events = collect(t, renamed.Events(t.Context(), store.Query{Match: store.MatchTypes(money)}))
	wantList(t, "positions under both names", positions(events), []event.Position{1, 2, 5})
	ok, err := renamed.Has(t.Context(), store.MatchTypes(money)...)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
}

// TestWaitKnowsTheNamesThatAnEventHad: who waits for a renamed event is woken by those that
// are stored under its old name, and by those under its new one.
func TestWaitKnowsTheNamesThatAnEventHad(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream  event.Stream
		payload event.Payload
	}{
		"the old name": {accounts.Stream("a"), deposited{}},
		"the new name": {event.Aggregate("money").Stream("a"), received{}},
	} {
		synctest.Test(t, func(t *testing.T) {
			st := open(t, memdriver.New(memdriver.Options{}), func(o *store.Options) {
				o.Schema = event.NewSchema(event.Alias(deposited{}.EventType(), received{}.EventType()))
			})
			woken := make(chan error, 1)
			go func() {
				_, err := st.Wait(t.Context(), 0, store.MatchTypes(received{}.EventType())...)
				woken <- err
			}()
			synctest.Wait()
			if _, err := st.Append(t.Context(), store.Batch{Stream: c.stream, Events: event.Of(c.payload)}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			select {
			case err := <-woken:
				if err != nil {
					t.Error(err)
				}
			default:
				t.Errorf("an event under %s woke nobody", name)
			}
		})
	}
}
