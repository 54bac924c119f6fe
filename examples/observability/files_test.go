package main

import (
	"encoding/json"
	"os"
	"testing"

	"go.yaml.in/yaml/v3"
)

// panel is one of the dashboard.
type panel struct {
	Title   string
	Type    string
	Targets []struct{ Expr string }
}

// panels are those of the dashboard that show something.
func panels(t *testing.T) []panel {
	t.Helper()
	data, err := os.ReadFile("grafana/dashboards/riffle.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	var all []panel
	for _, p := range dashboard.Panels {
		if p.Type != "row" {
			all = append(all, p)
		}
	}
	if len(all) < 20 {
		t.Fatalf("only %d panels", len(all))
	}
	return all
}

// alert is a rule.
type alert struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	t.Helper()
	data, err := os.ReadFile("prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) < 10 {
		t.Fatalf("only %d alerts", len(all))
	}
	return all
}

func TestTheProvisionedFilesAreWhereTheyAreMounted(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]struct{ Volumes []string }
	}
	var sources struct {
		Datasources []struct{ Type, URL string }
	}
	var providers struct {
		Providers []struct{ Options struct{ Path string } }
	}
	for name, into := range map[string]any{
		"compose.yaml": &compose,
		"grafana/provisioning/datasources/prometheus.yaml": &sources,
		"grafana/provisioning/dashboards/riffle.yaml":      &providers,
	} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(data, into); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if len(sources.Datasources) != 1 || sources.Datasources[0].URL != "http://prometheus:9090" {
		t.Errorf("data sources: %+v", sources)
	}
	if _, ok := compose.Services["prometheus"]; !ok {
		t.Errorf("compose.yaml has no service named as the data source is: %+v", compose)
	}
	mounted := false
	for _, v := range compose.Services["grafana"].Volumes {
		mounted = mounted || v == "./grafana/dashboards:"+providers.Providers[0].Options.Path+":ro"
	}
	if !mounted {
		t.Errorf("the dashboards are not mounted at %+v", providers)
	}
}
