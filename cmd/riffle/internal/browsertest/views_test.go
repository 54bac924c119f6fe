package browsertest

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// view is a page with what must be on it.
type view struct {
	name, path string
	has        []string
	problem    bool // shows an error, whose status the console reports
}

// views are all pages, in the states that matter.
func (s *service) views(t *testing.T) []view {
	t.Helper()
	q := url.QueryEscape
	received := s.find(t, accounts.Event("Received"))
	return []view{
		{name: "overview", path: "", has: []string{"Overview", "bank", "Appended", "Needs a look", "balances", "search-index", "CHG-2214", "Latest events"}},
		{name: "subscriptions", path: "subscriptions", has: []string{"balances", "daily", "transfers", "notifications", "fraud-scoring", "paused", "term"}},
		{name: "subscription", path: "subscription?name=notifications", has: []string{"notifications", withoutMailbox, "550 5.1.1", "parked", "Retry", "Rewind", "Owner"}},
		{name: "subscription-waiting", path: "subscription?name=fraud-scoring&state=waiting", has: []string{"503 Service Unavailable", "waiting", "next try"}},
		{name: "subscription-model", path: "subscription?name=balances", has: []string{"No event was set aside", "Rebuild", "bank/account.Deposited"}},
		{name: "subscription-paused", path: "subscription?name=search-index", has: []string{"Paused: new mapping", "Resume"}},
		{name: "events", path: "events", has: []string{"Deposited", "bank/account", "Older"}},
		{name: "events-filtered", path: "events?type=" + q("bank/account.Received") + "&order=oldest&routing_key=eu&limit=10", has: []string{"Received", "Clear"}},
		{name: "events-none", path: "events?aggregate=" + q("bank/account") + "&id=nobody", has: []string{"No event fits"}},
		{name: "events-wrong", path: "events?from=yesterday", has: []string{"yesterday", "The request is wrong"}, problem: true},
		{name: "event", path: "event?position=" + received.String(), has: []string{"Payload", `"Cents"`, "Cause and effect", "Requested", "Around it in its stream", "Metadata"}},
		{name: "models", path: "models", has: []string{"balances", "daily", "every version can be folded"}},
		{name: "model", path: "model?name=balances", has: []string{"acc-1000", "Position", `"owner"`}},
		{name: "state", path: "state?name=balances&key=acc-1004", has: []string{"acc-1004", "Lena Vogel", "Version", "Events around it"}},
		{name: "state-earlier", path: "state?name=balances&key=acc-1004&version=12", has: []string{"Version 12 of", "Changed by this event", "cents"}},
		{name: "state-own-key", path: "state?name=daily&key=" + q(s.dailyKey(t)), has: []string{"not ids of streams", `"Bookings"`}},
		{name: "store", path: "store", has: []string{"Key spaces", "log of events", "L6", "Backups", "Back up now", "Positions without gaps"}},
		{name: "problem", path: "subscription?name=nobody", has: []string{"Error 404", "no such projection", "Go to the overview"}, problem: true},
	}
}

// find returns the position of the first event of a type.
func (s *service) find(t *testing.T, wanted event.Type) event.Position {
	t.Helper()
	for ev, err := range s.store.Events(t.Context(), store.Query{Match: store.MatchTypes(wanted), Limit: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		return ev.Position
	}
	t.Fatalf("there is no %s", wanted)
	return 0
}

func (s *service) dailyKey(t *testing.T) string {
	t.Helper()
	for sn, err := range s.store.States(t.Context(), "daily", 0, store.Range{Limit: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		return sn.Key.Key
	}
	t.Fatal("the model has no states")
	return ""
}

func TestEveryViewShowsWhatItShould(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	b := open(t, s)
	for _, v := range s.views(t) {
		if v.problem {
			b.expect("the server responded with a status of 4")
		}
		for _, dark := range []bool{false, true} {
			what := fmt.Sprintf("%s, dark %v", v.name, dark)
			b.dark(dark)
			b.screen(1280, 860)
			b.visit(v.path)
			text := eval[string](b, `document.documentElement.textContent`)
			for _, want := range v.has {
				if !strings.Contains(text, want) {
					t.Errorf("%s: %q is not on the page:\n%.3000s", what, want, b.text("main"))
				}
			}
			if eval[bool](b, `document.querySelector("[data-live-page]") !== null`) {
				b.until("the samples come", `document.querySelector("[data-live-switch]").dataset.state === "live"`)
			}
			if !dark {
				b.accessible(what)
			}
			b.screen(360, 740)
			b.fits(what)
			if dark {
				b.accessible(what + ", narrow")
			}
		}
		b.check()
	}
}

// fits fails the test when the page is wider than the window, which would make it scroll
// sideways, or when something sticks out of its card.
func (b *tab) fits(what string) {
	b.t.Helper()
	if wide := eval[[]string](b, `(() => {
		const right = (e) => e.getBoundingClientRect().right;
		const room = document.documentElement.clientWidth;
		const page = document.documentElement.scrollWidth > room ? ["the page is " + document.documentElement.scrollWidth + " wide"] : [];
		return page.concat([...document.querySelectorAll("main *")].filter((e) => e.checkVisibility() && !e.closest(".code, svg, .sr-only, thead"))
			.filter((e) => right(e) > Math.min(room, right(e.closest(".card") ?? document.body)) + 1)
			.map((e) => e.tagName + "." + e.className + " " + e.innerText.slice(0, 30)).slice(0, 8));
	})()`); len(wide) > 0 {
		b.t.Errorf("%s: the page is wider than the window: %s", what, strings.Join(wide, ", "))
	}
}

func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		return // this is no test but a tool
	}
	s := serve(t, nil)
	b := open(t, s)
	if err := os.MkdirAll(*screenshots, 0o755); err != nil {
		t.Fatal(err)
	}
	b.visit("")
	b.within(2*time.Minute, "there is something to draw", `JSON.parse(sessionStorage.getItem("riffle-series"))?.series["append-rate"]?.length > 90`)
	for _, v := range s.views(t) {
		if v.problem {
			b.expect("the server responded with a status of 4")
		}
		for _, dark := range []bool{false, true} {
			b.dark(dark)
			for _, width := range []int64{1280, 360} {
				b.screen(width, map[int64]int64{1280: 860, 360: 740}[width])
				b.visit(v.path)
				b.screen(width, max(map[int64]int64{1280: 860, 360: 740}[width], eval[int64](b, `document.documentElement.scrollHeight`)))
				if eval[bool](b, `document.querySelector("[data-live-page]") !== null`) {
					b.until("the samples come", `document.querySelector("[data-live-switch]").dataset.state === "live"`)
				}
				picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("%s-%d-%s.png", v.name, width, map[bool]string{false: "light", true: "dark"}[dark])
				if err := os.WriteFile(filepath.Join(*screenshots, name), picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
