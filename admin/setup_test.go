package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The domain that the tests share: accounts, and letters to their owners.
const Accounts = event.Aggregate("bank/account")

type (
	Opened    struct{ Owner, City string }
	Deposited struct {
		Cents int64
		Note  string `json:",omitempty"`
	}
	Closed struct{}
)

func (Opened) EventType() event.Type    { return Accounts.Event("opened") }
func (Deposited) EventType() event.Type { return Accounts.Event("deposited") }
func (Closed) EventType() event.Type    { return Accounts.Event("closed") }

// Balance is the state of an account.
type Balance struct {
	Owner string
	Cents int64
}

// balances has a state for each account.
func balances(o projection.Options) *projection.Model[Balance] {
	return projection.NewModel("balances",
		projection.Fold(func(b *Balance, e Opened, _ event.Event) error { b.Owner = e.Owner; return nil }),
		projection.Fold(func(b *Balance, e Deposited, _ event.Event) error { b.Cents += e.Cents; return nil }),
	).With(o)
}

// cities has a state for each city: its keys are no streams.
var cities = projection.NewModel("cities",
	projection.FoldBy(func(e Opened, _ event.Event) []string { return []string{e.City} },
		func(n *int, _ Opened, _ event.Event) error { *n++; return nil }),
)

// letters is an effect that fails as long as the post is on strike.
type letters struct {
	strike atomic.Bool
	sent   atomic.Int64
}

func (l *letters) effect() *projection.Effect {
	return projection.NewEffect("letters",
		projection.On(func(_ context.Context, e Opened, _ event.Event) error {
			if l.strike.Load() && e.City == "Nowhere" {
				return projection.Park(errors.New("there is no such city"))
			}
			l.sent.Add(1)
			return nil
		}),
	).With(projection.Options{Start: store.AtPosition(1), Repeat: true})
}

// bed is a store, an engine on it, and a server with a Handler.
type bed struct {
	testing.TB
	store   *store.Store
	engine  *engine.Engine
	letters *letters
	handler *admin.Handler
	server  *httptest.Server
	log     *lines
	header  http.Header // of every request
}

// operator lets those act who say that they are one.
func operator(r *http.Request, _ admin.Action) error {
	if r.Header.Get("X-Role") != "operator" {
		return errors.New("operators only")
	}
	return nil
}

type setupOptions struct {
	admin       *admin.Options
	dir         string // "" is in memory
	projections []projection.Projection
	idle        bool // the engine does not run
	limits      store.Limits
}

// setup makes a running engine with a few accounts, and a Handler that operators may use.
func setup(t testing.TB, o setupOptions) *bed {
	t.Helper()
	b := &bed{TB: t, letters: &letters{}, log: &lines{}, header: http.Header{"X-Role": {"operator"}}}
	logger := slog.New(slog.NewJSONHandler(b.log, nil))
	opts := &pebblestore.Options{Store: store.Options{Name: "bank", Logger: logger, Limits: o.limits}}
	var err error
	if o.dir != "" {
		b.store, err = pebblestore.Open(o.dir, opts)
	} else {
		b.store, err = pebblestore.OpenMem(opts)
	}
	b.must(err)
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if o.projections == nil {
		o.projections = []projection.Projection{balances(projection.Options{}), cities, b.letters.effect()}
	}
	b.engine, err = engine.New(engine.Config{Store: b.store, Projections: o.projections, LeaseTTL: time.Second})
	b.must(err)
	if !o.idle {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- b.engine.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run ended with %v", err)
			}
		})
	}
	if o.admin == nil {
		o.admin = &admin.Options{Authorize: operator}
	}
	b.handler, err = admin.New(b.engine, o.admin)
	b.must(err)
	b.serve(b.handler)
	return b
}

// serve mounts a Handler on a server of its own, which requests go to from now on.
func (b *bed) serve(h *admin.Handler) {
	mux := http.NewServeMux()
	mux.Handle("/ops/admin/", http.StripPrefix("/ops/admin", h))
	server := httptest.NewServer(mux)
	b.server = server
	b.Cleanup(func() {
		h.Close()
		server.CloseClientConnections()
		server.Close()
	})
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) append(id string, payloads ...event.Payload) store.Result {
	b.Helper()
	res, err := b.store.Append(b.Context(), store.Batch{Stream: Accounts.Stream(id), Expect: store.Any, Events: event.Of(payloads...)})
	b.must(err)
	return res
}

// settle waits until every projection has handled everything.
func (b *bed) settle() {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	b.must(b.engine.CatchUp(ctx))
}

// until polls, with a deadline.
func (b *bed) until(what string, ok func() bool) {
	b.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			b.Fatalf("did not happen: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// answer is a response that was read.
type answer struct {
	testing.TB
	what   string
	status int
	header http.Header
	body   []byte
}

// request makes a request to a path below the Handler.
func (b *bed) request(method, path, contentType, body string) *http.Request {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, b.server.URL+"/ops/admin/"+path, strings.NewReader(body))
	b.must(err)
	for k, v := range b.header {
		r.Header[k] = v
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

func (b *bed) do(r *http.Request) *answer {
	b.Helper()
	client := *b.server.Client()
	client.Timeout = 20 * time.Second // an answer that never ends is a failure
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(r)
	b.must(err)
	body, err := io.ReadAll(res.Body)
	b.must(errors.Join(err, res.Body.Close()))
	return &answer{TB: b.TB, what: r.Method + " " + r.URL.String(), status: res.StatusCode, header: res.Header, body: body}
}

func (b *bed) get(path string) *answer {
	b.Helper()
	return b.do(b.request("GET", path, "", "")).checked(path)
}

// post sends an action.
func (b *bed) post(path string, body any) *answer {
	b.Helper()
	data, err := json.Marshal(body)
	b.must(err)
	return b.do(b.request("POST", path, "application/json", string(data))).checked(path)
}

// into decodes a successful answer.
func (a *answer) into(v any) {
	a.Helper()
	if a.status/100 != 2 {
		a.Fatalf("%s: %d %s", a.what, a.status, a.body)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		a.Fatalf("%s: %v in %s", a.what, err, a.body)
	}
}

// problem checks that the answer is a problem of a type, and returns it.
func (a *answer) problem(status int, kind string) (p problem) {
	a.Helper()
	if ct := a.header.Get("Content-Type"); a.status != status || ct != "application/problem+json" {
		a.Fatalf("%s: %d %s %s; want %d %s", a.what, a.status, ct, a.body, status, kind)
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		a.Fatal(err)
	}
	if p.Type != "urn:riffle:problem:"+kind || p.Status != status || p.Title == "" {
		a.Fatalf("%s: %s; want %s", a.what, a.body, kind)
	}
	return p
}

type problem struct {
	Type, Title, Detail, Projection, State, Field string
	Status                                        int
}

type m = map[string]any

// The parts of answers that tests look at.
type (
	page[T any] struct {
		Items      []T
		Next, Prev string
	}
	payload struct {
		Shown string
		Size  int
		Data  json.RawMessage
	}
	eventItem struct {
		Position event.Position
		StreamID string `json:"stream_id"`
		Version  uint64
		Name     string
		Type     string
		Metadata map[string]string
		Payload  payload
		Folded   bool
	}
	subscription struct {
		Name, Kind, State, Owner, Paused, Halted string
		Orphaned                                 bool
		Actions                                  []string
		Term                                     uint64
		Generation                               uint32
		Position, Head                           event.Position
		Backlog                                  uint64
		Rate                                     *float64
		Waiting, Parked                          int
		Rebuild                                  *struct{ Generation uint32 }
		Skips                                    []struct {
			Key      string
			Position event.Position
		}
		Generations []struct {
			Number uint32
			State  string
		}
		Settings *struct {
			PageSize int `json:"page_size"`
		}
	}
	stateItem struct {
		Key         string
		Position    event.Position
		At          event.Position
		Version     uint64
		Blocked     bool
		Exact       bool
		State       payload
		ContentType string
	}
	rowItem struct {
		Key                   string
		Position              event.Position
		State                 string
		Attempts              int
		LastError, FirstError string
		Event                 *eventItem
	}
)

func (b *bed) subscription(name string) (s subscription) {
	b.Helper()
	b.get("api/v1/subscriptions/" + name).into(&s)
	return s
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// with returns the lines that have a message.
func (l *lines) with(t testing.TB, message string) (out []m) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		var v m
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		if v["msg"] == message {
			out = append(out, v)
		}
	}
	return out
}
