package admin_test

import (
	"strings"
	"testing"

	"github.com/riffle-go/riffle/admin"
)

func TestPayloadsAreShownAsAllowed(t *testing.T) {
	t.Parallel()
	const secret = "the secret note"
	for _, mode := range []admin.Payloads{admin.Masked, admin.Hidden, admin.Full} {
		b := setup(t, setupOptions{admin: &admin.Options{Payloads: mode}})
		b.append("ann", Opened{Owner: secret, City: "Bern"}, Deposited{Cents: 4711, Note: secret})
		b.settle()
		for _, path := range []string{
			"api/v1/events", "api/v1/events/2", "api/v1/events/2/stream", "api/v1/events/2/causation", "api/v1/models/balances/states",
			"api/v1/models/balances/state?key=ann", "api/v1/models/balances/state?key=ann&at=head", "api/v1/models/balances/history?key=ann",
		} {
			a := b.get(path)
			a.into(new(m))
			leaks := strings.Contains(string(a.body), secret) || strings.Contains(string(a.body), "4711")
			if leaks != (mode == admin.Full) && !strings.Contains(path, "causation") {
				t.Errorf("%v: %s: %s", mode, path, a.body)
			}
		}
		var one eventItem
		b.get("api/v1/events/2").into(&one)
		want := map[admin.Payloads]string{
			admin.Masked: `{"Cents":"number","Note":"string"}`, admin.Hidden: "", admin.Full: `{"Cents":4711,"Note":"` + secret + `"}`,
		}[mode]
		if string(one.Payload.Data) != want || one.Payload.Shown != mode.String() || one.Payload.Size == 0 {
			t.Errorf("%v: %+v", mode, one.Payload)
		}
	}
}

func TestAPageCarriesABoundedAmount(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true, admin: &admin.Options{Payloads: admin.Full}})
	for range 8 {
		b.append("ann", Deposited{Note: strings.Repeat("x", 400<<10)})
	}
	a := b.get("api/v1/events?limit=200")
	var p page[eventItem]
	a.into(&p)
	omitted := 0
	for _, ev := range p.Items {
		if ev.Payload.Shown == "omitted" {
			omitted++
		}
	}
	if len(p.Items) != 8 || omitted != 6 || len(a.body) > 1<<20 {
		t.Errorf("%d items, %d omitted, %d bytes", len(p.Items), omitted, len(a.body))
	}
	var one eventItem
	b.get("api/v1/events/1").into(&one)
	if one.Payload.Shown != "full" {
		t.Errorf("alone it is %s", one.Payload.Shown)
	}
}
