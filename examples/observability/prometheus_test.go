package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayBeAbsent are metrics without a series while all is well: nobody skips an event, no
// worker ends unasked, and a rebuild is over before it is scraped.
var mayBeAbsent = []string{
	"riffle_subscription_skipped_total", "riffle_subscription_restarts_total", "riffle_subscription_rebuild_progress_ratio",
}

// variables stand for what Grafana fills in.
var variables = strings.NewReplacer("$store", ".*", "$subscription", ".*", "$__rate_interval", "10s")

func TestPrometheusAnswersEveryPanelAndAlert(t *testing.T) {
	t.Parallel()
	binary := tool(t, "prometheus")
	api := startPrometheus(t, binary, startService(t))
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			expr := variables.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("panel %q has an unknown variable: %s", p.Title, target.Expr)
			}
			eventually(t, "panel "+p.Title, func() error {
				n, err := query(t.Context(), api, expr)
				if err != nil {
					t.Fatalf("panel %q: %v: %s", p.Title, err, expr)
				}
				absent := slices.ContainsFunc(mayBeAbsent, func(name string) bool { return strings.Contains(expr, name) })
				if n == 0 && !absent {
					return fmt.Errorf("no data: %s", expr)
				}
				return nil
			})
		}
	}
	for _, a := range alerts(t) {
		if _, err := query(t.Context(), api, a.Expr); err != nil {
			t.Errorf("alert %s: %v: %s", a.Alert, err, a.Expr)
		}
	}
	// The letters to a customer without an address are parked, and that alert is on its way.
	eventually(t, "the alert about parked events", func() error {
		n, err := query(t.Context(), api, `ALERTS{alertname="RiffleEventsParked", alertstate="pending"}`)
		if err == nil && n == 0 {
			err = fmt.Errorf("it is not pending")
		}
		return err
	})
}

// startPrometheus runs Prometheus with the rules, on a service, and returns the address of
// its API.
func startPrometheus(t *testing.T, binary, metrics string) string {
	t.Helper()
	target, err := url.Parse(metrics)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs("prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile("prometheus/prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(config)
	for from, to := range map[string]string{
		"service:2112": target.Host, "rules.yml": rules,
		"scrape_interval: 5s": "scrape_interval: 500ms", "evaluation_interval: 15s": "evaluation_interval: 500ms",
	} {
		if !strings.Contains(text, from) {
			t.Fatalf("prometheus.yml has no %q", from)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	ctx, kill := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		kill()
		<-ended // that it was killed
		if t.Failed() {
			t.Logf("Prometheus says: %s", &log)
		}
	})
	api := "http://" + address
	eventually(t, "Prometheus", func() error {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Prometheus ended: %v: %s", err, &log)
		default:
		}
		_, err := query(t.Context(), api, "vector(1)")
		return err
	})
	return api
}

// freeAddress is one that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// query asks Prometheus and returns how many series it answers.
func query(ctx context.Context, api, expr string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/api/v1/query?query="+url.QueryEscape(expr), nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("%s: %s", resp.Status, body)
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("%s", answer.Error)
	}
	return len(answer.Data.Result), nil
}

func TestPromtoolAcceptsTheRulesAndTheirTests(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "rules.yml"},
		{"check", "config", "prometheus.yml"},
		{"test", "rules", "rules_test.yml"},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests, err := os.ReadFile("prometheus/rules_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts(t) {
		if strings.Count(string(tests), "alertname: "+a.Alert+"\n") == 0 {
			t.Errorf("no test lets %s fire", a.Alert)
		}
		if !strings.Contains(string(tests), "{alertname: "+a.Alert+", eval_time: 2h, exp_alerts: []}") {
			t.Errorf("no test keeps %s quiet while all is well", a.Alert)
		}
	}
}
