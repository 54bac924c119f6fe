package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/event"
)

// watcher is a client of the stream.
type watcher struct {
	t      testing.TB
	status int
	body   io.ReadCloser
	lines  *bufio.Scanner
	stop   context.CancelFunc
}

func (b *bed) watch() *watcher {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
	res, err := b.server.Client().Do(b.request("GET", "api/v1/stream", "", "").WithContext(ctx))
	b.must(err)
	w := &watcher{t: b.TB, status: res.StatusCode, body: res.Body, lines: bufio.NewScanner(res.Body), stop: cancel}
	w.lines.Buffer(nil, 1<<20)
	return w
}

func (w *watcher) close() {
	w.stop()
	_ = w.body.Close()
}

// next returns the next sample; ok is false at the end of the stream.
func (w *watcher) next() (s sampleItem, ok bool) {
	w.t.Helper()
	for w.lines.Scan() {
		if data, found := strings.CutPrefix(w.lines.Text(), "data: "); found {
			if err := json.Unmarshal([]byte(data), &s); err != nil {
				w.t.Fatal(err)
			}
			var v any
			if err := json.Unmarshal([]byte(data), &v); err != nil {
				w.t.Fatal(err)
			}
			for _, fault := range validate(m{"$ref": "#/components/schemas/Sample"}, v, "sample") {
				w.t.Error(fault)
			}
			return s, true
		}
	}
	return s, false
}

type sampleItem struct {
	Overview struct {
		Store struct{ Head event.Position }
	}
	Subscriptions []subscription
}

func TestTheStreamFollowsTheEngine(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{})
	w := b.watch()
	defer w.close()
	s, ok := w.next()
	if !ok || s.Overview.Store.Head != 15 || len(s.Subscriptions) != 3 {
		t.Fatalf("%+v", s)
	}
	pos := b.append("a0", Deposited{Cents: 1}).Position
	b.until("the stream tells", func() bool {
		s, ok = w.next()
		return ok && s.Overview.Store.Head == pos && s.Subscriptions[0].Position == pos
	})
	if s.Subscriptions[0].Rate == nil {
		t.Error("no rate in a later sample")
	}
}

func TestAttackFiveHundredStreams(t *testing.T) {
	t.Parallel()
	const most = 20
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{StreamClients: most}})
	var mu sync.Mutex
	var in []*watcher
	refused := 0
	var all sync.WaitGroup
	for range 500 {
		all.Go(func() {
			w := b.watch()
			mu.Lock()
			defer mu.Unlock()
			if w.status == http.StatusOK {
				in = append(in, w)
				return
			}
			body, _ := io.ReadAll(w.body)
			if w.status == http.StatusServiceUnavailable && strings.Contains(string(body), "too-many-streams") {
				refused++
			}
			w.close()
		})
	}
	all.Wait()
	if len(in) != most || refused != 500-most {
		t.Errorf("%d were let in, %d refused", len(in), refused)
	}
	for _, w := range in {
		if _, ok := w.next(); !ok {
			t.Error("a client that was let in gets nothing")
		}
	}
	if a := b.get("api/v1/overview"); a.status != 200 {
		t.Errorf("others get %d", a.status)
	}
	for _, w := range in {
		w.close()
	}
	b.until("there is room again", func() bool {
		w := b.watch()
		defer w.close()
		return w.status == http.StatusOK
	})
}

func TestCloseEndsTheStreams(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	b.server.Config.RegisterOnShutdown(b.handler.Close)
	var in []*watcher
	for range 5 {
		w := b.watch()
		defer w.close()
		if _, ok := w.next(); !ok {
			t.Fatal("no sample")
		}
		in = append(in, w)
	}
	// Shutdown waits for the streams, which Close ends.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- b.server.Config.Shutdown(ctx) }()
	for _, w := range in {
		for ok := true; ok; {
			_, ok = w.next()
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	b.handler.Close() // again
	b.serve(b.handler)
	b.get("api/v1/stream").problem(503, "closed")
	if a := b.get("api/v1/overview"); a.status != 200 {
		t.Errorf("other requests get %d after Close", a.status)
	}
}

func TestAReaderThatDoesNotReadIsDropped(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{StreamClients: 1}})
	conn, err := net.Dial("tcp", b.server.Listener.Addr().String())
	b.must(err)
	defer conn.Close()
	b.must(conn.(*net.TCPConn).SetReadBuffer(4 << 10))
	_, err = io.WriteString(conn, "GET /ops/admin/api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	b.must(err)
	status := make([]byte, len("HTTP/1.1 200"))
	if _, err = io.ReadFull(conn, status); err != nil || string(status) != "HTTP/1.1 200" {
		t.Fatalf("it is not in: %q, %v", status, err)
	}
	w := b.watch()
	defer w.close()
	if w.status != http.StatusServiceUnavailable {
		t.Fatalf("there is room for another one: %d", w.status)
	}
	admin.Flood(b.handler, 64<<10) // more than the buffers on the way hold
	b.until("its place is free", func() bool {
		w := b.watch()
		defer w.close()
		return w.status == http.StatusOK
	})
}
