package riffle_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// This file tells the whole of Riffle on a real directory:
//
//	The engine supervises workers; a worker claims a subscriber key by a lease, pages through
//	the store by cursor, applies the handlers of a projection, saves snapshots, and
//	acknowledges, with its lag measured.
//
// A bank moves money between two accounts. A transfer is requested; an effect answers each
// request with two events, one for each account, in the same commit as its checkpoint; a
// model keeps the balances. Whatever happens to the processes at work, in the end every
// request was answered exactly once, and the books balance.

const Transfers = event.Aggregate("bank/transfer")

type (
	Requested struct {
		From, To string
		Cents    int64
	}
	Withdrawn struct {
		Transfer string
		Cents    int64
	}
	Received struct {
		Transfer string
		Cents    int64
	}
)

func (Requested) EventType() event.Type { return Transfers.Event("requested") }
func (Withdrawn) EventType() event.Type { return Accounts.Event("withdrawn") }
func (Received) EventType() event.Type  { return Accounts.Event("received") }

// Account is the state of the ledger for one account.
type Account struct {
	Cents    int64
	Postings int
}

// Ledger is a model: an engine keeps its states in the store, each as of a checkpoint.
var Ledger = projection.NewModel("ledger",
	projection.Fold(func(a *Account, e Withdrawn, _ event.Event) error {
		a.Cents, a.Postings = a.Cents-e.Cents, a.Postings+1
		return nil
	}),
	projection.Fold(func(a *Account, e Received, _ event.Event) error {
		a.Cents, a.Postings = a.Cents+e.Cents, a.Postings+1
		return nil
	}),
)

// History is a model that no engine runs: it is folded when it is read, from a snapshot
// that is kept every 10 events.
var History = projection.NewModel("history",
	projection.Fold(func(n *[]int64, e Withdrawn, _ event.Event) error { *n = append(*n, -e.Cents); return nil }),
	projection.Fold(func(n *[]int64, e Received, _ event.Event) error { *n = append(*n, e.Cents); return nil }),
).With(projection.Options{SnapshotEvery: 10})

// Clearing is an effect. What it emits is written together with its checkpoint, so it
// happens once, whenever the process dies.
var Clearing = projection.NewEffect("clearing",
	projection.On(func(ctx context.Context, e Requested, ev event.Event) error {
		return projection.Emit(ctx,
			store.Batch{Stream: Accounts.Stream(e.From), Expect: store.Any, Events: event.Of(Withdrawn{ev.Stream.ID, e.Cents})},
			store.Batch{Stream: Accounts.Stream(e.To), Expect: store.Any, Events: event.Of(Received{ev.Stream.ID, e.Cents})},
		)
	}),
).With(projection.Options{Start: store.AtPosition(1)})

// bank is a store on disk, and what the test does with it.
type bank struct {
	*testing.T
	store *store.Store
}

func open(t *testing.T, dir string, o store.Options) *bank {
	t.Helper()
	o.Logger = slog.New(slog.DiscardHandler)
	st, err := pebblestore.Open(dir, &pebblestore.Options{Store: o})
	if err != nil {
		t.Fatal(err)
	}
	return &bank{t, st}
}

// engine makes an engine and runs it until stop is called.
func (b *bank) engine(takeover bool) (eng *engine.Engine, stop func()) {
	b.Helper()
	eng, err := engine.New(engine.Config{
		Store: b.store, Projections: []projection.Projection{Ledger, Clearing}, Takeover: takeover, LeaseTTL: time.Second,
	})
	b.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(ctx) }()
	return eng, func() {
		cancel()
		b.must(<-ended) // nil: everything at hand was finished and committed
	}
}

func (b *bank) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// until polls, with a deadline.
func (b *bank) until(what string, ok func() bool) {
	b.Helper()
	for deadline := time.After(20 * time.Second); !ok(); {
		select {
		case <-deadline:
			b.Fatalf("did not happen: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (b *bank) status(eng *engine.Engine, name string) engine.Status {
	b.Helper()
	all, err := eng.Status(b.Context())
	b.must(err)
	for _, st := range all {
		if st.Projection == name {
			return st
		}
	}
	b.Fatalf("no projection %q", name)
	return engine.Status{}
}

// transfer requests a transfer of one cent from ann to ben.
func transfer(ctx context.Context, st *store.Store) (store.Result, error) {
	id := event.NewID()
	return st.Append(ctx, store.Batch{
		Stream: Transfers.Stream(id.String()), // no Expect: the stream must be new
		Events: event.Of(event.Draft{Payload: Requested{"ann", "ben", 1}, ID: id}),
	})
}

func TestTheWholeSentence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	t.Log("A process works, and is killed in the middle.")
	crash(t, dir)

	t.Log("Another one opens the directory. Its leases died with the process, so its work begins at once.")
	reader := sdkmetric.NewManualReader()
	b := open(t, dir, store.Options{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	first, stopFirst := b.engine(false)
	b.must(first.CatchUp(t.Context()))
	b.checkBooks()

	t.Log("Reading what one has written: append, wait for the position, read.")
	for range 25 {
		res, err := transfer(t.Context(), b.store)
		b.must(err)
		b.must(first.Wait(t.Context(), Clearing, res.Position)) // the request is answered,
		head, err := b.store.Head(t.Context())
		b.must(err)
		b.must(first.Wait(t.Context(), Ledger, head.Position)) // and the answer is in the ledger
	}
	b.checkBooks()

	t.Log("A paused model falls behind, which metrics tell, and catches up.")
	b.must(first.Pause(t.Context(), "ledger", "the books are being audited"))
	paused, err := transfer(t.Context(), b.store)
	b.must(err)
	b.must(first.Wait(t.Context(), Clearing, paused.Position))
	if err := first.Wait(t.Context(), Ledger, paused.Position); !errors.Is(err, engine.ErrUnavailable) {
		t.Fatalf("waiting for a paused model: %v", err)
	}
	b.until("the lag grows", func() bool {
		return b.metric(reader, "riffle.subscription.lag", "ledger") > 0 && b.metric(reader, "riffle.subscription.backlog", "ledger") > 0
	})
	b.must(first.Resume(t.Context(), "ledger"))
	b.must(first.CatchUp(t.Context()))
	b.until("the lag is gone", func() bool {
		return b.metric(reader, "riffle.subscription.lag", "ledger") == 0 && b.metric(reader, "riffle.subscription.backlog", "ledger") == 0
	})

	t.Log("A second engine takes the leases over; the terms rise, so what the first one might still write is refused.")
	before := b.status(first, "clearing").Subscriber
	second, stopSecond := b.engine(true)
	b.until("the second engine works, the first one stands by", func() bool {
		return b.status(second, "clearing").State == "live" && b.status(first, "clearing").State == "standby"
	})
	after := b.status(second, "clearing").Subscriber
	if after.Term <= before.Term || after.Worker == before.Worker {
		t.Errorf("the lease was %+v and is %+v", before, after)
	}
	_, err = transfer(t.Context(), b.store)
	b.must(err)
	b.must(second.CatchUp(t.Context()))
	b.checkBooks()

	t.Log("The model is built anew beside the running one; readers see the old states, then the new ones.")
	b.must(second.Rebuild(t.Context(), "ledger"))
	b.must(second.CatchUp(t.Context()))
	if st := b.status(second, "ledger"); st.Row.Active != 1 || st.Rebuild != nil {
		t.Errorf("the active generation is %d", st.Row.Active)
	}
	b.checkBooks()

	t.Log("The second engine drains; the first one goes on where it ended.")
	stopSecond()
	_, err = transfer(t.Context(), b.store)
	b.must(err)
	b.must(first.CatchUp(t.Context()))
	b.checkBooks()
	b.checkSnapshots()

	t.Log("At last, indexes, versions, checkpoints and states are checked against the log.")
	stopFirst()
	b.must(b.store.Verify(t.Context(), nil))
	b.must(b.store.Close())
}

// checkBooks compares everything that was derived with the log.
func (b *bank) checkBooks() {
	b.Helper()
	requests, postings := 0, map[string]int{}
	var sum int64
	for ev, err := range b.store.Events(b.Context(), store.Query{}) { // all events, page by page
		b.must(err)
		switch ev.Type() {
		case Requested{}.EventType():
			requests++
		case Withdrawn{}.EventType():
			e, err := event.Decode[Withdrawn](ev)
			b.must(err)
			postings[e.Transfer]++
			sum -= e.Cents
		case Received{}.EventType():
			e, err := event.Decode[Received](ev)
			b.must(err)
			postings[e.Transfer]++
			sum += e.Cents
		}
	}
	if requests == 0 || len(postings) != requests || sum != 0 {
		b.Fatalf("%d requests, %d answered, %d cents too many", requests, len(postings), sum)
	}
	for id, n := range postings {
		if n != 2 {
			b.Errorf("transfer %s has %d postings, want 2", id, n)
		}
	}
	for id, sign := range map[string]int64{"ann": -1, "ben": 1} {
		stored, err := Ledger.Get(b.Context(), b.store, id) // as of the checkpoint
		b.must(err)
		folded, err := Ledger.Load(b.Context(), b.store, Accounts.Stream(id)) // as of now
		b.must(err)
		if want := (Account{sign * int64(requests), requests}); stored.Value != want || folded.Value != want {
			b.Errorf("%s: stored %+v, folded %+v, want %+v", id, stored.Value, folded.Value, want)
		}
	}
}

// checkSnapshots reads a model that is folded on demand, and finds what it kept for the
// next time.
func (b *bank) checkSnapshots() {
	b.Helper()
	whole, err := History.Load(b.Context(), b.store, Accounts.Stream("ann"))
	b.must(err)
	again, err := History.Load(b.Context(), b.store, Accounts.Stream("ann")) // from the snapshot
	b.must(err)
	if len(whole.Value) < 25 || len(again.Value) != len(whole.Value) || again.Version != whole.Version {
		b.Errorf("the history has %d entries, then %d", len(whole.Value), len(again.Value))
	}
	// Time travel: the same account when it had three events.
	then, err := History.LoadAt(b.Context(), b.store, store.AtVersion(Accounts.Stream("ann"), 3), Accounts.Stream("ann"))
	b.must(err)
	if len(then.Value) != 3 {
		b.Errorf("three events made a history of %d entries", len(then.Value))
	}
}

// metric reads the value that a projection has of an instrument.
func (b *bank) metric(reader *sdkmetric.ManualReader, name, subscription string) float64 {
	b.Helper()
	var data metricdata.ResourceMetrics
	b.must(reader.Collect(b.Context(), &data))
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch points := m.Data.(type) {
			case metricdata.Gauge[float64]:
				return valueOf(b, points.DataPoints, subscription)
			case metricdata.Sum[int64]:
				return valueOf(b, points.DataPoints, subscription)
			}
		}
	}
	return -1 // not measured yet
}

func valueOf[N int64 | float64](b *bank, points []metricdata.DataPoint[N], subscription string) float64 {
	b.Helper()
	for _, p := range points {
		if v, ok := p.Attributes.Value("messaging.destination.subscription.name"); ok && v.AsString() == subscription {
			return float64(p.Value)
		}
	}
	return -1
}

// crashDir tells a process of this test binary that it is the one to be killed.
const crashDir = "RIFFLE_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := work(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// crash runs work in a process of its own and kills it when it has done a part of it.
func crash(t *testing.T, dir string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), crashDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	done := 0
	for lines := bufio.NewScanner(out); done < 100 && lines.Scan(); {
		if done, err = strconv.Atoi(strings.TrimSpace(lines.Text())); err != nil {
			t.Fatal(err)
		}
	}
	if done < 100 {
		t.Fatalf("the process ended by itself after %d transfers", done)
	}
	if err := child.Process.Kill(); err != nil { // SIGKILL: nothing is drained, nothing closed
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the process was not killed")
	}
}

// work transfers money until it is killed, and prints how often.
func work(dir string) error {
	ctx := context.Background()
	st, err := pebblestore.Open(dir, &pebblestore.Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		return err
	}
	eng, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{Ledger, Clearing}})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(ctx) }()
	for i := 1; ; i++ {
		if _, err := transfer(ctx, st); err != nil {
			return err
		}
		if i%10 == 0 {
			fmt.Println(i)
		}
		select {
		case err := <-ended:
			return errors.Join(errors.New("the engine ended"), err)
		default:
		}
	}
}
