package admin_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/admin"
)

func probe(t *testing.T, h http.Handler, method string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "/", nil))
	return w.Code, w.Body.String()
}

func TestProbesFollowTheEngine(t *testing.T) {
	t.Parallel()
	idle := setup(t, setupOptions{idle: true})
	if code, body := probe(t, admin.Live(idle.engine), "GET"); code != 200 || !strings.Contains(body, `"live":true`) {
		t.Errorf("live: %d %s", code, body)
	}
	if code, body := probe(t, admin.Ready(idle.engine), "GET"); code != 503 || !strings.Contains(body, `"type":"engine_stopped"`) {
		t.Errorf("ready before Run: %d %s", code, body)
	}
	for _, path := range []string{"live", "ready"} {
		idle.get(path)
	}
	b := filled(t, setupOptions{})
	b.until("it is ready", func() bool { code, _ := probe(t, admin.Ready(b.engine), "GET"); return code == 200 })
	if code, _ := probe(t, admin.Live(b.engine), "POST"); code != 405 {
		t.Errorf("POST: %d", code)
	}
}

func TestProbesTellNoTexts(t *testing.T) {
	t.Parallel()
	b := setup(t, setupOptions{idle: true})
	b.must(b.store.Close())
	for _, h := range []http.Handler{admin.Live(b.engine), admin.Ready(b.engine)} {
		code, body := probe(t, h, "GET")
		var v struct{ Problems []map[string]string }
		b.must(json.Unmarshal([]byte(body), &v))
		if code != 503 || len(v.Problems) != 1 || v.Problems[0]["type"] != "store_closed" {
			t.Errorf("%d %s", code, body)
		}
	}
	b.get("api/v1/overview").problem(503, "store-closed")
}
