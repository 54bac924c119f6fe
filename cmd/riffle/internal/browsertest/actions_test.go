package browsertest

import (
	"fmt"
	"testing"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/worker"
)

// summary opens the drawer whose title begins with a text.
func (b *tab) summary(scope, text string) {
	b.t.Helper()
	if !eval[bool](b, fmt.Sprintf(`(() => {
		const found = [...document.querySelectorAll(%q)].find((e) => e.innerText.trim().startsWith(%q));
		if (found && !found.parentElement.open) found.click();
		return Boolean(found);
	})()`, scope+" summary", text)) {
		b.t.Fatalf("there is no drawer %q in %q", text, scope)
	}
}

// press clicks the button of the form of an action.
func (b *tab) press(verb, more string) {
	b.t.Helper()
	b.click(fmt.Sprintf(`form:has(input[name="verb"][value="%s"])%s button`, verb, more))
}

// says waits until the page says what an action did.
func (b *tab) says(text string) {
	b.t.Helper()
	b.until("the page says: "+text, fmt.Sprintf(`document.querySelector("#done")?.innerText.includes(%q)`, text))
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	b := open(t, s)
	b.visit("subscription?name=transfers")
	b.summary(".danger", "Pause")
	b.fill("#reason", "the ledger is audited")
	b.press("pause", "")
	b.says("Paused")
	b.until("the page shows the state without a reload", `document.querySelector("h1 + [data-live='state']").innerText.includes("paused")`)
	b.until("and the reason", `document.querySelector("[data-live='reason']").innerText === "Paused: the ledger is audited"`)
	s.eventually(t, "the worker is paused", func(all map[string]engine.Status) bool { return all["transfers"].State == worker.Paused })
	b.until("the backlog grows", `Number(document.querySelector(".tile [data-live='backlog']").innerText.replaceAll(",", "")) > 3`)

	b.press("resume", "")
	b.says("Resumed")
	s.eventually(t, "the worker has caught up", func(all map[string]engine.Status) bool {
		return all["transfers"].State == worker.Live && all["transfers"].Subscriber.Paused == ""
	})
	b.until("the page shows that", `document.querySelector("h1 + [data-live='state']").innerText.includes("live")`)
}

func TestRetryAParkedKey(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	b := open(t, s)
	b.visit("subscription?name=notifications&state=parked")
	row := fmt.Sprintf(`[...document.querySelectorAll(".row")].find((r) => r.innerText.includes(%q))`, withoutMailbox)
	b.until("the row is there", row)
	parked := eval[string](b, row+`.dataset.row`)
	s.mailbox.Store(true) // the reason is gone
	eval[bool](b, row+`.querySelector("form:has([value=retry]) button").click(), true`)
	b.says("due now")
	s.eventually(t, "nothing is parked any more", func(all map[string]engine.Status) bool {
		return all["notifications"].Parked == 0 && all["notifications"].Waiting == 0
	})
	b.visit("subscription?name=notifications&state=parked")
	if eval[bool](b, fmt.Sprintf(`document.querySelector('.row[data-row="%s"]') !== null`, parked)) {
		t.Error("the row is still there")
	}
}

func TestRebuildAsksForTheNameAndThenRebuilds(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	b := open(t, s)
	b.expect("the server responded with a status of 400")
	b.visit("subscription?name=balances")
	b.summary(".danger", "Rebuild")
	b.fill("#confirm-rebuild", "balance")
	b.press("rebuild", "")
	b.until("the page refuses", `document.querySelector("#problem")?.innerText.includes("Not confirmed")`)
	if !eval[bool](b, `document.querySelector("#confirm-rebuild").value === "balance" && document.querySelector("#confirm-rebuild").closest("details").open`) {
		t.Error("the form was not kept for a correction")
	}
	b.accessible("a refused action")
	b.fill("#confirm-rebuild", "balances")
	b.press("rebuild", "")
	b.says("rebuild was decided")
	s.eventually(t, "the new generation is read", func(all map[string]engine.Status) bool {
		st := all["balances"]
		return st.Row.Active == 1 && st.Rebuild == nil && st.State == worker.Live
	})
	b.visit("model?name=balances")
	b.until("the states are there", `document.querySelectorAll("tbody tr").length === 40`)
}

func TestSkipRewindReleaseAndBackup(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	b := open(t, s)

	b.visit("subscription?name=notifications&state=parked&key=" + withoutMailbox)
	b.summary(".row", "Skip this event")
	b.fill(`.row form:has([value="skip"]) input[name="confirm"]`, "notifications")
	b.press("skip", "")
	b.says("Skipped")
	b.visit("subscription?name=notifications&state=skipped")

	before := eval[int](b, `Number(document.querySelector("dd[data-live='term']").innerText)`)
	b.summary(".danger", "Release")
	b.fill("#confirm-release", "notifications")
	b.press("release", "")
	b.says("released")
	b.until("another term begins", fmt.Sprintf(`Number(document.querySelector("dd[data-live='term']").innerText) > %d`, before))

	b.summary(".danger", "Rewind")
	b.fill("#to", "1")
	b.fill("#confirm-rewind", "notifications")
	b.press("rewind", "")
	b.says("Rewound")

	b.visit("store")
	b.press("backup", "")
	b.says("backup is complete")
	b.until("the backup is listed", `document.querySelector("[aria-labelledby='backups-title'] tbody th").innerText.startsWith("bank-")`)
}

func TestActionsWorkWithoutScript(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	b := open(t, s)
	b.script(false)
	b.visit("subscription?name=transfers")
	if eval[bool](b, `document.documentElement.classList.contains("scripted")`) {
		t.Fatal("script runs")
	}
	b.click(`details:has([value="pause"]) summary`)
	b.fill("#reason", "by hand")
	b.press("pause", "")
	b.says("Paused")
	s.eventually(t, "the worker is paused", func(all map[string]engine.Status) bool { return all["transfers"].State == worker.Paused })

	b.visit("events")
	b.click(`a[rel="next"]`)
	b.until("older events are there", `location.search.includes("after=") && document.querySelectorAll("tbody tr").length > 1`)

	b.visit("state?name=balances&key=acc-1004&version=3")
	eval[string](b, `document.querySelector("#version").value = "2"`)
	b.click("[data-slider] button")
	b.until("the version before is there", `location.search.includes("version=2") && document.querySelector("[data-slider-version]").innerText === "2"`)
}
