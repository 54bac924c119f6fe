package admin_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store/pebblestore"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{})
	var res struct {
		Verb         string
		Subscription subscription
	}
	b.post("api/v1/subscriptions/balances/pause", m{"reason": "maintenance"}).into(&res)
	if res.Verb != "pause" || res.Subscription.Paused != "maintenance" || !slices.Contains(res.Subscription.Actions, "resume") {
		t.Errorf("%+v", res)
	}
	b.until("it is paused", func() bool { return b.subscription("balances").State == "paused" })
	pos := b.append("a0", Deposited{Cents: 1}).Position
	b.post("api/v1/subscriptions/balances/resume", m{}).into(&res)
	b.until("it goes on", func() bool {
		s := b.subscription("balances")
		return s.State == "live" && s.Position >= pos
	})
	b.post("api/v1/subscriptions/balances/pause", m{}).problem(400, "invalid")
}

// stricken is a bed whose letters to nowhere are parked.
func stricken(t *testing.T) *bed {
	b := setup(t, setupOptions{})
	b.letters.strike.Store(true)
	b.append("ann", Opened{Owner: "Ann", City: "Nowhere"})
	b.append("bob", Opened{Owner: "Bob", City: "Bern"})
	b.append("eve", Opened{Owner: "Eve", City: "Nowhere"})
	b.settle()
	return b
}

func TestParkedEventsAreShownAndRetried(t *testing.T) {
	t.Parallel()
	b := stricken(t)
	var rows page[rowItem]
	b.get("api/v1/subscriptions/letters/parked").into(&rows)
	if len(rows.Items) != 2 || rows.Items[0].Key != "ann" || rows.Items[0].State != "parked" || rows.Items[1].Event.Name != "opened" {
		t.Fatalf("%+v", rows)
	}
	if s := b.subscription("letters"); s.Parked != 2 || !slices.Contains(s.Actions, "retry") {
		t.Errorf("%+v", s)
	}
	var state stateItem
	b.get("api/v1/models/balances/state?key=ann").into(&state)
	if state.Blocked {
		t.Error("a model is blocked by another projection's failure")
	}
	b.letters.strike.Store(false)
	b.post("api/v1/subscriptions/letters/retry", m{"key": "ann"}).into(new(m))
	b.until("one is left", func() bool { return b.subscription("letters").Parked == 1 })
	b.post("api/v1/subscriptions/letters/retry", m{}).into(new(m))
	b.until("none is left", func() bool { return b.subscription("letters").Parked == 0 })
	if n := b.letters.sent.Load(); n != 3 {
		t.Errorf("%d letters", n)
	}
}

func TestRowsArePagedWithinAKeyToo(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{})
	b.letters.strike.Store(true)
	for range 3 {
		b.append("ann", Opened{Owner: "Ann", City: "Nowhere"})
		b.append("bob", Opened{Owner: "Bob", City: "Nowhere"})
	}
	b.settle()
	walk := func(query string) (got []event.Position) {
		for cursor := ""; ; {
			var p page[rowItem]
			b.get("api/v1/subscriptions/letters/parked?limit=2" + query + "&after=" + cursor).into(&p)
			for _, row := range p.Items {
				got = append(got, row.Position)
			}
			if len(got) > 100 {
				b.Fatal("the pages do not end:", got)
			}
			if cursor = p.Next; cursor == "" {
				return got
			}
		}
	}
	if got := walk(""); !slices.Equal(got, []event.Position{1, 3, 5, 2, 4, 6}) {
		t.Errorf("%v", got)
	}
	if got := walk("&key=bob"); !slices.Equal(got, []event.Position{2, 4, 6}) {
		t.Errorf("of bob: %v", got)
	}
	if got := walk("&state=skipped"); len(got) != 0 {
		t.Errorf("skipped: %v", got)
	}
	b.get("api/v1/subscriptions/letters/parked?state=lost").problem(400, "invalid")
}

func TestSkip(t *testing.T) {
	t.Parallel()
	b := stricken(t)
	skip := "api/v1/subscriptions/letters/skip"
	b.post(skip, m{"key": "ann", "position": "1"}).problem(400, "confirm")
	b.post(skip, m{"key": "ann", "confirm": "letters"}).problem(400, "invalid")
	b.post(skip, m{"position": "1", "confirm": "letters"}).problem(400, "invalid")
	b.post(skip, m{"key": "bob", "position": "2", "confirm": "letters"}).problem(404, "not-found")
	b.post(skip, m{"key": "ann", "position": "1", "confirm": "letters"}).into(new(m))
	s := b.subscription("letters")
	if s.Parked != 1 || len(s.Skips) != 1 || s.Skips[0].Key != "ann" || s.Skips[0].Position != 1 {
		t.Errorf("%+v", s)
	}
	var rows page[rowItem]
	b.get("api/v1/subscriptions/letters/parked?state=skipped").into(&rows)
	if len(rows.Items) != 1 || rows.Items[0].Position != 1 {
		t.Errorf("%+v", rows)
	}
}

func TestRewind(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{})
	if n := b.letters.sent.Load(); n != 5 {
		t.Fatalf("%d letters", n)
	}
	rewind := "api/v1/subscriptions/letters/rewind"
	b.post(rewind, m{"to": "10"}).problem(400, "confirm")
	b.post(rewind, m{"confirm": "letters"}).problem(400, "invalid")
	b.post(rewind, m{"confirm": "letters", "to": "yesterday"}).problem(400, "invalid")
	b.post(rewind, m{"confirm": "letters", "to": "10"}).into(new(m))
	b.settle()
	b.until("letters are sent again", func() bool { return b.letters.sent.Load() == 7 })
	b.post("api/v1/subscriptions/balances/rewind", m{"confirm": "balances", "to": "1"}).problem(409, "use-rebuild")
}

func TestRebuild(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{})
	b.post("api/v1/subscriptions/balances/rebuild", m{}).problem(400, "confirm")
	b.post("api/v1/subscriptions/balances/rebuild", m{"confirm": "balance"}).problem(400, "confirm")
	b.post("api/v1/subscriptions/balances/rebuild", m{"confirm": "balances"}).into(new(m))
	b.until("the new generation is read", func() bool {
		s := b.subscription("balances")
		return s.Generation == 1 && s.Rebuild == nil
	})
	b.post("api/v1/subscriptions/letters/rebuild", m{"confirm": "letters"}).problem(400, "invalid")
}

func TestARebuildUnderWayIsAProblem(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	var once sync.Once
	slow := projection.NewModel("slow", projection.FoldBy(
		func(_ Opened, ev event.Event) []string { return []string{ev.Stream.ID} },
		func(n *int, _ Opened, _ event.Event) error {
			<-hold
			return nil
		}))
	b := setup(t, setupOptions{projections: []projection.Projection{slow}})
	release := func() { once.Do(func() { close(hold) }) }
	t.Cleanup(release)
	b.append("ann", Opened{City: "Bern"})
	b.until("it is stored", func() bool {
		_, err := b.store.Projection(t.Context(), "slow")
		return err == nil
	})
	b.post("api/v1/subscriptions/slow/rebuild", m{"confirm": "slow"}).into(new(m))
	p := b.post("api/v1/subscriptions/slow/rebuild", m{"confirm": "slow"}).problem(409, "rebuilding")
	if p.Projection != "slow" || p.State != "rebuilding" {
		t.Errorf("%+v", p)
	}
	release()
}

func TestRelease(t *testing.T) {
	t.Parallel()
	b := filled(t, setupOptions{})
	before := b.subscription("balances").Term
	b.post("api/v1/subscriptions/balances/release", m{}).problem(400, "confirm")
	b.post("api/v1/subscriptions/balances/release", m{"confirm": "balances"}).into(new(m))
	b.until("another term has begun", func() bool {
		s := b.subscription("balances")
		return s.Term > before && s.Owner != "" && s.State == "live"
	})
}

func TestBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := filled(t, setupOptions{dir: t.TempDir(), idle: true, admin: &admin.Options{Authorize: operator, BackupDir: dir}})
	var res struct {
		Backup struct {
			Name  string
			Bytes int64
		}
	}
	a := b.post("api/v1/store/backup", m{})
	a.into(&res)
	if a.status != http.StatusCreated || !strings.HasPrefix(res.Backup.Name, "bank-") || res.Backup.Bytes == 0 {
		t.Errorf("%d %+v", a.status, res)
	}
	if strings.Contains(string(a.body), dir) {
		t.Error("the answer tells where the directory is")
	}
	st, err := pebblestore.Open(filepath.Join(dir, res.Backup.Name), nil)
	b.must(err)
	head, err := st.Head(t.Context())
	b.must(errors.Join(err, st.Close()))
	if head.Position != 15 {
		t.Errorf("the copy ends at %d", head.Position)
	}
	b.must(os.Mkdir(filepath.Join(dir, "something else"), 0o755))
	var v struct {
		Backups struct {
			Enabled bool
			Total   int
			Items   []struct{ Name string }
		}
	}
	b.get("api/v1/store").into(&v)
	if !v.Backups.Enabled || v.Backups.Total != 1 || v.Backups.Items[0].Name != res.Backup.Name {
		t.Errorf("%+v", v)
	}
	// A client cannot say where.
	b.post("api/v1/store/backup", m{"dir": "/tmp/x"}).problem(400, "bad-json")
	b.post("api/v1/store/backup?dir=/tmp/x", m{}).problem(400, "invalid")
}

func TestBackupNeedsADirectory(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	b.post("api/v1/store/backup", m{}).problem(403, "no-backup-dir")
}

// memory is a sink's target that can go back.
type memory struct {
	mu   sync.Mutex
	at   event.Position
	rows []event.Position
}

func (s *memory) Begin(context.Context, projection.Session, event.Position, event.Position) (event.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at, nil
}

func (s *memory) Write(_ context.Context, _ projection.Session, _, to event.Position, events []event.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ev := range events {
		s.rows = append(s.rows, ev.Position)
	}
	s.at = to
	return nil
}

func (s *memory) Reset(_ context.Context, _ projection.Session, to event.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.rows = to, slices.DeleteFunc(s.rows, func(p event.Position) bool { return p > to })
	return nil
}

func TestASinkIsRewoundAndRebuilt(t *testing.T) {
	t.Parallel()
	target := &memory{}
	b := setup(t, setupOptions{projections: []projection.Projection{projection.NewSink("rows", target)}})
	b.append("ann", Opened{City: "Bern"}, Deposited{Cents: 1}, Deposited{Cents: 2})
	b.settle()
	if got := b.subscription("rows").Actions; !slices.Contains(got, "rewind") || !slices.Contains(got, "rebuild") {
		t.Errorf("%v", got)
	}
	for _, a := range []struct {
		verb string
		body m
	}{{"rewind", m{"confirm": "rows", "to": "2"}}, {"rebuild", m{"confirm": "rows"}}} {
		b.post("api/v1/subscriptions/rows/"+a.verb, a.body).into(new(m))
		b.settle()
		target.mu.Lock()
		if !slices.Equal(target.rows, []event.Position{1, 2, 3}) {
			t.Errorf("after %s: %v", a.verb, target.rows)
		}
		target.mu.Unlock()
	}
}
