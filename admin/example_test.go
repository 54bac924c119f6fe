package admin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// A service mounts the handler under a prefix, and says who may act.
func ExampleNew() {
	st, err := pebblestore.OpenMem(&pebblestore.Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()
	eng, err := engine.New(engine.Config{Store: st, Projections: []projection.Projection{balances(projection.Options{})}})
	if err != nil {
		log.Fatal(err)
	}
	page, err := admin.New(eng, &admin.Options{
		Authorize: func(r *http.Request, a admin.Action) error {
			if user, _, _ := r.BasicAuth(); user != "ops" {
				return errors.New("operators only")
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer page.Close()
	mux := http.NewServeMux()
	mux.Handle("/admin/", http.StripPrefix("/admin", page))

	for _, user := range []string{"guest", "ops"} {
		r := httptest.NewRequest("POST", "http://localhost/admin/api/v1/subscriptions/balances/pause", strings.NewReader(`{"reason":"maintenance"}`))
		r.Header.Set("Content-Type", "application/json")
		r.SetBasicAuth(user, "")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		var answer struct {
			Detail       string
			Subscription struct{ Paused string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			log.Fatal(err)
		}
		fmt.Println(user, w.Code, answer.Detail+answer.Subscription.Paused)
	}
	// Output:
	// guest 403 operators only
	// ops 200 maintenance
}

// Probes of an orchestrator: the engine of this service does not run yet.
func ExampleReady() {
	st, err := pebblestore.OpenMem(&pebblestore.Options{Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()
	eng, err := engine.New(engine.Config{Store: st})
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range []http.Handler{admin.Live(eng), admin.Ready(eng)} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Print(w.Code, " ", w.Body)
	}
	// Output:
	// 200 {"live":true,"ready":false,"problems":[{"type":"engine_stopped"}]}
	// 503 {"live":true,"ready":false,"problems":[{"type":"engine_stopped"}]}
}
