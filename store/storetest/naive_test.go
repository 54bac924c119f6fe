package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/store/internal/memdriver"
)

// Each broken rule of a driver is caught, and by the rule of the suite that is about it.
func TestSuiteCatchesNaiveDrivers(t *testing.T) {
	for _, c := range []struct {
		name  string
		naive memdriver.Naive
		rule  string // the group and the rule that has to catch it
		says  string // part of what the rule says
	}{
		{"position before commit", memdriver.PositionBeforeCommit, "live readers/a reader of everything sees no event appear behind it", "missed the positions"},
		{"check then write", memdriver.CheckThenWrite, "optimistic concurrency/of concurrent appends at one version, one wins", " appends at version 0 succeeded"},
		{"caller's version", memdriver.CallersVersion, "order/concurrent appends to one stream have versions of their own", "behind version"},
		{"partial batches", memdriver.PartialBatches, "optimistic concurrency/several streams are appended all or nothing", "after a conflict"},
		{"refused takes position", memdriver.RefusedTakesPosition, "order/a refused append takes no position", "the append after refused ones has position"},
		{"refused leaves type", memdriver.RefusedLeavesType, "optimistic concurrency/a refused append leaves nothing behind", "the catalog has the types"},
		{"routing key follows", memdriver.RoutingKeyFollows, "routing key/another routing key is refused and nothing is written", "got the error <nil>, want *InvalidError"},
		{"once then write", memdriver.OnceThenWrite, "retry/of concurrent appends with the same ids, one is written", "appends with the same ids were written, want 1"},
		{"once forgotten", memdriver.OnceForgotten, "retry/the ids of Once survive a reopen", "got the error <nil>, want *DuplicateError"},
		{"once forgotten, seen by a store", memdriver.OnceForgotten, "retry/a store answers it after a reopen too", "the same append again gives"},
		{"cancelled is written", memdriver.CancelledIsWritten, "optimistic concurrency/a commit whose context has ended writes nothing", "with the context's error and wrote"},
		{"cancelled is written, in a race", memdriver.CancelledIsWritten, "optimistic concurrency/a commit whose context ends in the middle says what became of it", "whether it wrote the events is true"},
		{"keeps the caller's bytes", memdriver.KeepsCallersBytes, "envelope/the driver keeps nothing that it was given", "the event changed with the caller's memory"},
		{"wall clock", memdriver.WallClock, "time/times do not fall when the clock steps back", "an append has the time"},
		{"wall clock after an import", memdriver.WallClock, "time/an append after an import is not before it", "after an import with"},
		{"import times fall", memdriver.ImportTimesFall, "time/an import whose times fall is refused", "got the error <nil>, want *InvalidError"},
		{"NUL ends an id", memdriver.NulEndsID, "hostile ids/streams with hostile ids are streams of their own", "expected no stream, it is at version 1"},
		{"joined keys", memdriver.JoinedKeys, "hostile ids/aggregates and ids do not run into each other", "expected no stream, it is at version 1"},

		{"visible before durable", memdriver.VisibleBeforeDurable, "durable before visible/what a reader saw survives a crash", "after a crash the head is"},
		{"NoSync stays volatile", memdriver.NoSyncStaysVolatile, "durable before visible/a NoSync commit is durable by itself a little later", "records: got []"},
		{"NoSync rides with nothing", memdriver.NoSyncStaysVolatile, "durable before visible/a NoSync commit is durable with the next synced one", "records: got []"},
		{"head after the iterator", memdriver.HeadAfterIterator, "live readers/a reader of everything sees no event appear behind it", "missed the positions"},
		{"head after the iterator, with filters", memdriver.HeadAfterIterator, "live readers/a reader sees every matching event once and in order while appends run", "missed the positions"},
		{"dictionary late", memdriver.DictionaryLate, "live readers/a reader sees the first event of a new name", "missed the positions"},
		{"backward off by one", memdriver.BackwardOffByOne, "a page costs a page/pages of any size together are the whole going backward", "got the positions"},
		{"more at the limit", memdriver.MoreAtLimit, "a page costs a page/a full page knows whether there is more", "says More at Scanned"},
		{"more at the limit, backward", memdriver.MoreAtLimit, "a page costs a page/a full page going backward knows whether there is more", "says More at Scanned"},
		{"scanned beyond the limit", memdriver.ScannedBeyondLimit, "a page costs a page/pages of any size together are the whole", "want ["},
		{"scanned beyond Examine", memdriver.ScannedBeyondExamine, "a page costs a page/a sparse filter gets to the head in short pages", "a page with Scanned 1500 should have the positions"},
		{"scanned beyond Examine, backward", memdriver.ScannedBeyondExamine, "a page costs a page/a sparse filter gets to the beginning in short pages", "a page with Scanned 1 should have the positions"},
		{"Examine ignored", memdriver.ExamineIgnored, "a page costs a page/a page examines a bounded number of entries", "a page that may examine 1 entries has 50 events"},
		{"repeats matches", memdriver.RepeatsMatches, "a page costs a page/an event that fits two matches comes once", "and has [1 1]"},
		{"empty routing key is all", memdriver.EmptyRoutingKeyIsAll, "routing key/a read selects one routing key, none, or all", "routing=\"\" from=0"},
		{"To is exclusive", memdriver.ToIsExclusive, "a page costs a page/From and To are inclusive", "1 matching events are beyond it"},
		{"shares its bytes", memdriver.SharesItsBytes, "envelope/what a read returns belongs to the caller", "after the caller wrote to what it had read"},
		{"shares its records", memdriver.SharesItsRecords, "envelope/what a read returns belongs to the caller", "the record changed when the caller wrote"},
		{"wakes too early", memdriver.WakesTooEarly, "head and wait/Wait wakes for a matching event", "did not wake"},
		{"registers too late", memdriver.RegistersTooLate, "head and wait/no wake-up is lost", "a wake-up did not come"},
		{"names when waiting", memdriver.NamesWhenWaiting, "head and wait/an aggregate in Wait covers names that come later", "did not wake"},
		{"close strands waiters", memdriver.CloseStrandsWaiters, "close/Close answers those who wait for events", "no answer within"},

		{"commits without term", memdriver.CommitsWithoutTerm, "fenced commits/a commit under a lost term is refused", "got the error <nil>, want a refusal"},
		{"commits without From", memdriver.CommitsWithoutFrom, "fenced commits/a commit from an old checkpoint is refused", "got the error <nil>, want a refusal"},
		{"neither term nor From", memdriver.CommitsWithoutTerm | memdriver.CommitsWithoutFrom, "fenced commits/no update is lost while leases are stolen", "and the counter is"},
		{"puts before guards", memdriver.PutsBeforeGuards, "guards/a commit whose guard does not hold writes nothing", "records: got ["},
		{"events before guards", memdriver.EventsBeforeGuards, "atomic emits/a guard that does not hold leaves no event", "events of a refused commit"},
		{"puts before a conflict", memdriver.PutsBeforeConflict, "atomic emits/a conflict leaves no record", "records: got ["},
		{"term restarts", memdriver.TermRestarts, "terms/terms rise when the term record is deleted", "the record was deleted comes term 1"},
		{"term restarts for each key", memdriver.TermRestarts, "terms/terms rise across keys, claims and releases", "comes term 1, but there was a term 1"},
		{"term from records", memdriver.TermFromRecords, "terms/terms rise across a reopen", "a reopen comes term"},
		{"fence keeps the term", memdriver.FenceKeepsTerm, "terms/a fence raises the term and keeps the value", "after a fence comes term"},
		{"fence keeps the lease", memdriver.FenceKeepsLease, "terms/a fence ends the lease and wakes those who wait", "a fence did not wake"},
		{"claims without a lock", memdriver.ClaimsWithoutLock, "leases/of concurrent claims one wins", "concurrent claims won, want 1"},
		{"lease never expires", memdriver.LeaseNeverExpires, "leases/a lease runs out", "did not run out"},
		{"renews a stolen lease", memdriver.RenewsStolenLease, "leases/a lost lease cannot be renewed", "renewal of a stolen lease: <nil>"},
		{"releases a stolen lease", memdriver.ReleasesStolenLease, "leases/a lost lease cannot be released", "release of a stolen lease: <nil>"},
		{"release is silent", memdriver.ReleaseIsSilent, "leases/a release wakes those who wait", "a release did not wake"},
		{"lists unsorted", memdriver.ListsUnsorted, "records/records are listed by prefix, after and limit", "limit 2: got ["},
		{"lists ids unsorted", memdriver.ListsUnsorted, "hostile ids/ids are listed in byte order, whatever is in them", ": got ["},
		{"after is inclusive", memdriver.AfterIsInclusive, "records/records are listed by prefix, after and limit", "limit 1: got ["},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := ruleNamed(t, c.rule)
			// A race needs a moment; each try is one of the rule's own bounded ones.
			const tries = 25
			for try := range tries {
				if got := tried(t, r, c.naive); got.Failed() && strings.Contains(got.log(), c.says) {
					t.Logf("caught at try %d: %.400s", try+1, got.log())
					return
				}
			}
			t.Errorf("%q passed %d times with a driver that breaks it", c.rule, tries)
		})
	}
}

func ruleNamed(t *testing.T, name string) rule {
	t.Helper()
	group, want, _ := strings.Cut(name, "/")
	for _, g := range groups() {
		for _, r := range g.rules {
			if g.name == group && r.name == want {
				return r
			}
		}
	}
	t.Fatalf("the suite has no rule %q", name)
	return rule{}
}

// tried runs one rule as Run does, but with little patience: what a broken driver never
// does need not be waited for.
func tried(t *testing.T, r rule, naive memdriver.Naive) *recorder {
	return record(t, func(tb testing.TB) {
		e := newEnv(tb, factory(naive), allTraits())
		e.patience = 250 * time.Millisecond
		r.check(e)
	})
}
