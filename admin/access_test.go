package admin_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/admin"
)

// only lets a request read one projection.
func only(name string) func(*http.Request, admin.Action) error {
	return func(_ *http.Request, a admin.Action) error {
		if a.Projection != name {
			return errors.New("only " + name)
		}
		return nil
	}
}

func TestWhoMayReadOneProjectionSeesPagesThatSaySo(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{admin: &admin.Options{AuthorizeRead: only("balances")}})
	b.append("ann", Opened{"Ann", "Ulm"})
	b.settle()
	for _, path := range []string{"subscription?name=balances", "model?name=balances", "state?name=balances&key=ann"} {
		b.html(path).shows(http.StatusOK, "balances")
	}
	for _, path := range []string{
		"", "subscriptions", "subscription?name=letters", "events", "event?position=1", "models", "model?name=cities",
		"state?name=cities&key=Ulm", "store", "subscription",
	} {
		a := b.html(path)
		a.shows(http.StatusForbidden, "Error 403", "Not allowed", "only balances", "<main")
		a.hides("letters", "cities", "opened")
	}
}

// What an authorizer is asked about is what is shown, however it is written.
func TestAttackReadsByAnotherSpelling(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{admin: &admin.Options{AuthorizeRead: func(_ *http.Request, a admin.Action) error {
		if a.Projection == "letters" || a.Key == "secret" {
			return errors.New("not for you")
		}
		return nil
	}}})
	b.append("secret", Opened{"Ann", "Ulm"})
	b.settle()
	for _, path := range []string{
		"subscription?name=%20letters", "subscription?name=letters%20", "subscription?name=&name=letters", "subscription?name=%09&name=letters",
		"state?name=balances&key=%20secret", "state?name=balances&key=&key=secret", "subscription?name=balances&name=letters",
	} {
		if a := b.html(path); a.status == http.StatusOK {
			t.Errorf("%s: %s", path, a.body)
		}
	}
}

// A page of events set aside of a key has all of the subscription around them.
func TestWhoMayReadOneKeyDoesNotSeeTheSubscription(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{admin: &admin.Options{AuthorizeRead: func(_ *http.Request, a admin.Action) error {
		if a.Key != "ann" {
			return errors.New("only ann")
		}
		return nil
	}}})
	b.append("ann", Opened{"Ann", "Ulm"})
	b.settle()
	b.html("state?name=balances&key=ann").shows(http.StatusOK)
	b.html("subscription?name=balances&key=ann").shows(http.StatusForbidden, "only ann")
	var list page[rowItem]
	b.get("api/v1/subscriptions/balances/parked?key=ann").into(&list)
}

// Who may act on a key does not name it to act on everything.
func TestAttackActionsWithAKeyThatTheyDoNotTake(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{Authorize: func(_ *http.Request, a admin.Action) error {
		if a.Key != "ann" {
			return errors.New("only ann")
		}
		return nil
	}}})
	for verb, body := range map[string]m{
		"pause": {"reason": "x"}, "resume": {}, "rebuild": {"confirm": "balances"}, "release": {"confirm": "balances"}, "rewind": {"confirm": "balances", "to": "1"},
	} {
		body["key"] = "ann"
		b.post("api/v1/subscriptions/balances/"+verb, body).problem(http.StatusForbidden, "forbidden")
		b.form("subscription", "name", "balances", "verb", verb, "reason", "x", "confirm", "balances", "to", "1", "key", "ann").shows(http.StatusForbidden, "only ann")
	}
	if lines := b.log.with(t, "admin action"); len(lines) != 10 {
		t.Errorf("%d lines", len(lines))
	}
}

func TestKeysAreRefusedWhereTheyHaveNoMeaning(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	if p := b.post("api/v1/subscriptions/balances/pause", m{"reason": "x", "key": "ann"}).problem(http.StatusBadRequest, "invalid"); p.Field != "key" {
		t.Errorf("%+v", p)
	}
	if s := b.subscription("balances"); s.Paused != "" {
		t.Errorf("it is paused: %s", s.Paused)
	}
}

// A refused action leaves its line too where its address is what is wrong.
func TestAnActionWithAWrongAddressLeavesALine(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	b.post("api/v1/subscriptions/balances/resume?force=1", m{}).problem(http.StatusBadRequest, "invalid")
	if lines := b.log.with(t, "admin action"); len(lines) != 1 || lines[0]["outcome"] != "refused" {
		t.Errorf("%v", lines)
	}
}

func TestKeysKeepTheirSpaceAndTheirControls(t *testing.T) {
	t.Parallel()
	keys := []string{" ann", "ann", "ann ", " ", "a\x00b", "a\nb", "a\r\nb", "a+b%20"}
	b := setup(t, setupOptions{})
	b.letters.strike.Store(true)
	for _, key := range keys {
		b.append(key, Opened{"owner of " + url.QueryEscape(key), "Nowhere"})
	}
	b.settle()
	for _, key := range keys {
		var s stateItem
		b.get("api/v1/models/balances/state?key=" + url.QueryEscape(key)).into(&s)
		b.html("state?name=balances&key="+url.QueryEscape(key)).shows(http.StatusOK, "event?position="+s.Position.String()+`"`)
		b.html("events?id="+url.QueryEscape(key)).shows(http.StatusOK, "event?position="+s.Position.String()+`"`)

		// The form of the page acts on the key that it was made for.
		page := b.html("subscription?name=letters&key=" + url.QueryEscape(key))
		field := `name="escaped_key" value="` + strings.ReplaceAll(url.QueryEscape(key), "+", "&#43;") + `"`
		page.shows(http.StatusOK, field, "value=\""+s.Position.String()+"\"")
		b.form("subscription", "name", "letters", "verb", "skip", "escaped_key", url.QueryEscape(key), "position", s.Position.String(), "confirm", "letters").
			shows(http.StatusSeeOther)
	}
	skipped := make(map[string]bool)
	for _, s := range b.subscription("letters").Skips {
		skipped[s.Key] = true
	}
	for _, key := range keys {
		if !skipped[key] {
			t.Errorf("%q was not skipped", key)
		}
	}
}

func TestFormsThatAreNotWellFormedAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	for _, body := range []string{"name=balances&verb=resume&x=%zz", "name=balances&verb=retry&escaped_key=%25zz", "a;b"} {
		for _, path := range []string{"subscription", "store"} {
			r := b.request("POST", path, formType, body)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			b.do(r).shows(http.StatusBadRequest, "<main")
		}
	}
}

func TestAHostWithADotAtItsEndIsTheSame(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{Hosts: []string{"Bank.example."}}})
	for _, host := range []string{"bank.example", "bank.example.", "BANK.example:80"} {
		r := b.request("GET", "api/v1/overview", "", "")
		r.Host = host
		if a := b.do(r); a.status != http.StatusOK {
			t.Errorf("%s: %d", host, a.status)
		}
	}
}
