package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestTheServiceExposesTheDocumentedNames(t *testing.T) {
	t.Parallel()
	url := startService(t)
	known, labels := map[string]bool{}, map[string]bool{}
	for _, m := range documented(t) {
		known[m.family()] = true
		for _, a := range m.attributes {
			labels[underscores(a)] = true
		}
	}
	missing := map[string]bool{}
	eventually(t, "metrics", func() error {
		families, err := scrape(t.Context(), url)
		if err != nil {
			return err
		}
		clear(missing)
		for name := range known {
			missing[name] = families[name] == nil
		}
		for name, family := range families {
			if !strings.HasPrefix(name, "riffle_") && !strings.HasPrefix(name, "messaging_") {
				continue
			}
			if !known[name] {
				t.Fatalf("%s is exposed and not documented", name)
			}
			for _, m := range family.GetMetric() {
				for _, l := range m.GetLabel() {
					if !labels[l.GetName()] {
						t.Fatalf("%s has the label %s, which is not documented", name, l.GetName())
					}
				}
			}
		}
		for _, name := range []string{ // which only appear when something has happened
			"riffle_subscription_rebuild_progress_ratio", "riffle_subscription_restarts_total",
			"riffle_subscription_skipped_total", "riffle_append_conflicts_total",
		} {
			delete(missing, name)
		}
		for name, yes := range missing {
			if yes {
				return errMissing(name)
			}
		}
		return nil
	})
}

type errMissing string

func (e errMissing) Error() string { return string(e) + " is not exposed" }

// collector is what an OTLP endpoint sees.
type collector struct {
	mu    sync.Mutex
	bytes map[string]int
	text  map[string]string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes[r.URL.Path] += len(body)
	c.text[r.URL.Path] += string(body)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func TestAShortRunExportsToACollectorAndEnds(t *testing.T) {
	c := &collector{bytes: map[string]int{}, text: map[string]string{}}
	server := httptest.NewServer(c)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "200") // ms; what describes a state is gone when the store is closed
	t.Setenv("OTEL_SERVICE_NAME", "bank-under-test")
	var out bytes.Buffer
	if err := start(t.Context(), &out, []string{"-ci"}); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	if !strings.Contains(out.String(), " metrics\n") {
		t.Errorf("the run says %q", &out)
	}
	for path, want := range map[string][]string{
		"/v1/metrics": {"riffle.store.position", "riffle.subscription.backlog", "messaging.process.duration", "bank-under-test"},
		"/v1/traces":  {"append bank", "process ", "bank-under-test"},
	} {
		for _, name := range want {
			if !strings.Contains(c.text[path], name) {
				t.Errorf("the %d bytes for %s hold no %q", c.bytes[path], path, name)
			}
		}
	}
}
