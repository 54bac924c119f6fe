package browsertest

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// service is a bank with its admin page, under a prefix, and clients who keep it busy.
type service struct {
	*bank
	engine *engine.Engine
	store  *store.Store
	url    string // of the page, ends with a slash
}

// serve starts a bank. The page shows payloads, and allows actions, unless change says
// otherwise; change may be nil.
func serve(t *testing.T, change func(*admin.Options)) *service {
	t.Helper()
	dir := t.TempDir()
	st, err := pebblestore.Open(filepath.Join(dir, "bank.db"), &pebblestore.Options{
		Store:     store.Options{Name: "bank", Logger: slog.New(slog.DiscardHandler)},
		CacheSize: 32 << 20, FreeSpace: pebblestore.NoFreeSpaceCheck,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &service{bank: newBank(st), store: st}
	if s.engine, err = engine.New(engine.Config{Store: st, Projections: s.projections()}); err != nil {
		t.Fatal(err)
	}
	s.history(t)
	s.run(t)

	options := &admin.Options{
		Authorize: func(*http.Request, admin.Action) error { return nil },
		Payloads:  admin.Full, BackupDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Disk: func(context.Context) (admin.Disk, error) { return diskOf(filepath.Join(dir, "bank.db")) },
	}
	if change != nil {
		change(options)
	}
	page, err := admin.New(s.engine, options)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ops/riffle/", http.StripPrefix("/ops/riffle", page))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(page.Close) // first, or the server would wait for the streams
	s.url = server.URL + "/ops/riffle/"
	return s
}

// diskOf adds up the files; what lies in them is made up.
func diskOf(dir string) (admin.Disk, error) {
	var d admin.Disk
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // Pebble removes files at any time
		}
		if info, err := e.Info(); err == nil {
			d.Total += info.Size()
		}
		return nil
	})
	d.Free, d.Tables, d.WAL, d.ReadAmplification = 61<<30, d.Total*3/4, d.Total/4, 4
	d.Levels = []admin.DiskLevel{{Level: 0, Tables: 2, Bytes: d.Total / 8}, {Level: 5, Tables: 3, Bytes: d.Total / 4}, {Level: 6, Tables: 9, Bytes: d.Total * 3 / 8}}
	for i, space := range []struct{ short, what string }{
		{"e", "log of events"}, {"t", "events by name"}, {"r", "events by routing key"}, {"a", "streams"}, {"n", "states of models"}, {"p", "events set aside"},
	} {
		d.Spaces = append(d.Spaces, admin.DiskSpace{Space: space.short, What: space.what, Bytes: d.Total / int64(2+i*i*2)})
	}
	return d, err
}

const customers = 40

func account(n int) string { return fmt.Sprintf("acc-%d", 1000+n) }

var owners = []string{"Ada Brandt", "Noor Haddad", "Matteo Ricci", "Yuki Tanaka", "Lena Vogel", "Tomás Oliveira", "Ewa Nowak", "Samir Patel"}

// history is what happened before the engine started.
func (s *service) history(t *testing.T) {
	t.Helper()
	for i := range customers {
		s.append(t, "eu", accounts.Stream(account(i)), Opened{Owner: owners[i%len(owners)], Currency: "EUR"}, Deposited{int64(100_00 + i*1_37)})
	}
	for i := range 1200 {
		s.append(t, "", accounts.Stream(account(i%customers)), Deposited{int64(5_00 + i%900)}, Withdrawn{int64(2_00 + i%400)})
	}
	for i := range 60 {
		from, to := account(4+i%3), account(7+i%5)
		if i == 30 {
			from = unscored
		}
		s.append(t, "eu", transfers.Stream(fmt.Sprintf("tr-%05d", i)), Requested{from, to, int64(10_00 + i)})
	}
}

func (s *service) append(t *testing.T, key string, stream event.Stream, payloads ...event.Payload) {
	t.Helper()
	md := event.Metadata{}.With(event.RequestedBy, "teller-4@bank.example")
	if _, err := s.store.Append(t.Context(), store.Batch{Stream: stream, Expect: store.Any, RoutingKey: key, Events: event.Of(payloads...), Metadata: md}); err != nil {
		t.Fatal(err)
	}
}

// run runs the engine, pauses one projection, and has customers come until the test ends.
func (s *service) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.engine.Run(ctx); err != nil {
			t.Errorf("the engine ended: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	if err := s.engine.Pause(t.Context(), "search-index", "new mapping is rolled out (CHG-2214)"); err != nil {
		t.Fatal(err)
	}
	s.eventually(t, "the history is handled", func(statuses map[string]engine.Status) bool {
		return statuses["balances"].Backlog == 0 && statuses["notifications"].Parked == 1 && statuses["fraud-scoring"].Waiting > 0
	})
	wg.Go(func() { s.visit(ctx, t) })
}

// visit is what customers do: more of it and less of it, in waves.
func (s *service) visit(ctx context.Context, t *testing.T) {
	tick := time.NewTicker(60 * time.Millisecond)
	defer tick.Stop()
	random := rand.New(rand.NewPCG(7, 7))
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		crowd := 1 + random.IntN(3)
		if n/90%3 == 1 {
			crowd += 2 + random.IntN(4)
		}
		for i := range crowd {
			var batch store.Batch
			if random.IntN(9) == 0 {
				batch = store.Batch{Stream: transfers.Stream(fmt.Sprintf("tr-%05d", 1000+n*10+i)), RoutingKey: "eu",
					Events: event.Of(Requested{account(4 + random.IntN(30)), account(8 + random.IntN(30)), int64(1_00 + random.IntN(90_00))})}
			} else {
				batch = store.Batch{Stream: accounts.Stream(account(random.IntN(customers))), Expect: store.Any,
					Events: event.Of(Deposited{int64(1_00 + random.IntN(500_00))})}
			}
			if _, err := s.store.Append(ctx, batch); err != nil {
				if ctx.Err() == nil {
					t.Errorf("append: %v", err)
				}
				return
			}
		}
	}
}

// eventually waits until the statuses of the projections are as they should be.
func (s *service) eventually(t *testing.T, what string, good func(map[string]engine.Status) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := s.engine.Status(ctx)
		statuses := make(map[string]engine.Status, len(all))
		for _, st := range all {
			statuses[st.Projection] = st
		}
		if err == nil && good(statuses) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			for _, st := range all {
				t.Logf("%s: %s, backlog %d, waiting %d, parked %d, %v", st.Projection, st.State, st.Backlog, st.Waiting, st.Parked, st.Err)
			}
			t.Fatalf("waited in vain: %s (%v)", what, err)
		}
	}
}
