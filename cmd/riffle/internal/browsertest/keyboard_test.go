package browsertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/worker"
)

const focused = `(() => {
	const e = document.activeElement;
	if (!e || e === document.body) return "";
	return [e.tagName, e.id, e.name, e.getAttribute("href"), e.innerText, e.getAttribute("aria-label")].filter(Boolean).join(" ").slice(0, 120);
})()`

func (b *tab) keys(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// focusFault says what is wrong with how the focused element looks, or "".
func (b *tab) focusFault() string {
	b.t.Helper()
	return eval[string](b, `(() => {
		const e = document.activeElement;
		if (!e || e === document.body) return "";
		const box = e.getBoundingClientRect(), style = getComputedStyle(e);
		if (box.width < 1 || box.height < 1) return "has no size";
		if (box.bottom < 0 || box.top > innerHeight) return "is out of sight";
		if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return "does not look focused";
		const tabs = document.querySelector(".tabs");
		if (getComputedStyle(tabs).position === "fixed" && !tabs.contains(e) && box.top > tabs.getBoundingClientRect().top) return "is behind the tabs";
		return "";
	})()`)
}

// tabTo presses Tab until an expression about the focused element e is true. Every stop on
// the way must be visible, and look focused.
func (b *tab) tabTo(what, expression string) {
	b.t.Helper()
	for range 120 {
		b.keys("\t")
		seen := b.focusFault()
		for deadline := time.Now().Add(2 * time.Second); seen != "" && time.Now().Before(deadline); {
			seen = b.focusFault() // the browser scrolls and paints a little later
		}
		if seen != "" {
			b.t.Errorf("%s %s", eval[string](b, focused), seen)
		}
		if eval[bool](b, `((e) => Boolean(`+expression+`))(document.activeElement)`) {
			return
		}
	}
	b.t.Fatalf("Tab does not lead to %s; it is at %s", what, eval[string](b, focused))
}

func TestAnActionByKeyboardAlone(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, width := range []int64{1280, 360} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			b := open(t, s)
			b.screen(width, 740)
			b.visit("")
			b.tabTo("the skip link", `e.classList.contains("skip")`)
			b.keys("\r")
			b.until("the content has the focus", `document.activeElement.id === "main"`)
			b.tabTo("a subscription", `e.tagName === "A" && e.closest("table") && e.innerText === "transfers"`)
			b.keys("\r")
			b.until("its page is there", `document.title.startsWith("transfers")`)
			b.tabTo("the drawer", `e.tagName === "SUMMARY" && e.innerText.trim() === "Pause"`)
			b.keys("\r")
			b.tabTo("the reason", `e.id === "reason"`)
			b.keys("by keyboard")
			b.keys("\r")
			b.says("Paused")
			s.eventually(t, "the worker is paused", func(all map[string]engine.Status) bool { return all["transfers"].State == worker.Paused })
			b.tabTo("Resume", `e.tagName === "BUTTON" && e.innerText.trim() === "Resume"`)
			b.keys(" ")
			b.says("Resumed")
			s.eventually(t, "the worker goes on", func(all map[string]engine.Status) bool { return all["transfers"].State == worker.Live })
		})
	}
}

func TestTabReachesEverythingAndTrapsNobody(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	b := open(t, s)
	for _, v := range s.views(t) {
		if !slices.Contains([]string{"overview", "subscription", "events-filtered", "event", "state", "store"}, v.name) {
			continue // the others are made of the same parts
		}
		b.visit(v.path)
		want := eval[int](b, `[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']")]
			.filter((e) => e.checkVisibility() && !(e.type === "radio" && !e.checked)).length`)
		reached := 0
		for range want + 5 {
			b.keys("\t")
			if eval[string](b, focused) == "" {
				break // back in the browser's own controls
			}
			reached++
		}
		if reached < want || reached > want+2 {
			t.Errorf("%s: Tab stops %d times, there are %d places to stop", v.name, reached, want)
		}
	}
}

func TestTheSliderGoesThroughHistoryByKeyboard(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	b := open(t, s)
	b.visit("state?name=balances&key=acc-1004&version=10")
	before := b.text(".code")
	b.tabTo("the slider", `e.type === "range"`)
	b.keys("\u0302") // arrow left
	b.until("the version before is there", `location.search.includes("version=9") && document.querySelector("[data-slider-version]").innerText === "9"`)
	b.until("with its state", fmt.Sprintf(`document.querySelector(".code").innerText !== %q`, before))
	if got := eval[string](b, `document.activeElement.getAttribute("aria-valuetext")`); got[:12] != "version 9 of" {
		t.Errorf("the slider says %q", got)
	}
	if !eval[bool](b, `document.querySelector("[data-changed]").innerText.includes("cents")`) {
		t.Error("the page does not say what changed")
	}
	b.tabTo("the button for the version after", `e.dataset.sliderStep === "1"`)
	b.keys("\r")
	b.until("that version is there", `location.search.includes("version=10")`)
	b.until("with its state", fmt.Sprintf(`document.querySelector(".code").innerText === %q`, before))
	if !eval[bool](b, `document.activeElement.dataset.sliderStep === "1"`) {
		t.Error("the focus was lost")
	}
}
