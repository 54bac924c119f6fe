package browsertest

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/engine"
)

// What is stored comes from anybody: nothing of it may run, or break out of where it stands.
func TestScriptInWhatIsStoredStaysText(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.append(t, hostileText, accounts.Stream(hostile), Opened{Owner: hostileText, Currency: "EUR", Note: hostile})
	s.eventually(t, "its message is parked", func(all map[string]engine.Status) bool { return all["notifications"].Parked == 2 })
	b := open(t, s) // fails for dialogs, violations and errors
	q := url.QueryEscape
	var position string
	for _, path := range []string{
		"",
		"subscriptions",
		"subscription?name=notifications",
		"subscription?name=notifications&key=" + q(hostile),
		"events?aggregate=" + q("bank/account") + "&id=" + q(hostile),
		"events?routing_key=" + q(hostileText),
		"model?name=balances&prefix=" + q(hostile[:3]),
		"state?name=balances&key=" + q(hostile),
	} {
		b.visit(path)
		if path == "subscription?name=notifications&key="+q(hostile) {
			position = eval[string](b, `document.querySelector(".row").dataset.row`)
		}
		if strings.Contains(path, q(hostile)) && !strings.Contains(eval[string](b, `document.querySelector("main").textContent`), `<img src=x onerror="alert('id')">`) {
			t.Errorf("%s does not show the id as it is:\n%.2000s", path, b.text("main"))
		}
		b.harmless(path)
	}
	b.visit("event?position=" + position)
	if !strings.Contains(b.text(".code"), `onload=\"alert('text')\"`) && !strings.Contains(b.text(".code"), "alert('text')") {
		t.Errorf("the payload is not shown:\n%s", b.text(".code"))
	}
	b.harmless("event")

	b.expect("the server responded with a status of 4")
	for _, path := range []string{
		"subscription?name=" + q(hostileText),
		"events?from=" + q(hostileText),
		"state?name=balances&key=" + q(hostileText),
		"store?done=" + q(hostileText),
		"nowhere" + url.PathEscape(hostileText),
	} {
		b.visit(path)
		b.harmless(path)
	}
	b.until("time passes", `document.readyState === "complete"`)
}

// harmless fails the test when an element is on the page that no template has.
func (b *tab) harmless(path string) {
	b.t.Helper()
	if n := eval[int](b, `document.querySelectorAll("img, iframe, object, embed, main script, svg[onload], [onerror], [style]:not(svg *)").length`); n > 0 {
		b.t.Errorf("%s: %d elements of somebody else are on the page", path, n)
	}
}

func TestAReadOnlyPageOffersNoActions(t *testing.T) {
	t.Parallel()
	s := serve(t, func(o *admin.Options) { o.Authorize, o.Payloads = nil, admin.Masked })
	b := open(t, s)
	for _, path := range []string{"subscription?name=notifications", "store"} {
		b.visit(path)
		if n := eval[int](b, `document.querySelectorAll('form[method="post"]').length`); n > 0 {
			t.Errorf("%s has %d forms that act", path, n)
		}
		if !eval[bool](b, `document.querySelector("#read-only") !== null`) {
			t.Errorf("%s does not say that it only reads", path)
		}
		b.accessible(path + ", read only")
	}
	b.visit("subscription?name=notifications&key=" + withoutMailbox)
	if text := eval[string](b, `document.querySelector("main").textContent`); strings.Contains(text, "Patel") || !strings.Contains(text, "Masked") {
		t.Errorf("the payload is not masked:\n%.2000s", text)
	}
	b.expect("the server responded with a status of 403")
	// A form of the page's own origin, made by hand, gets no further.
	status := eval[int](b, `fetch("subscription", {method: "POST", headers: {"Content-Type": "application/x-www-form-urlencoded"}, body: "name=transfers&verb=pause&reason=x"}).then((r) => r.status)`)
	if status != http.StatusForbidden {
		t.Errorf("the answer to an action is %d, want 403", status)
	}
}
