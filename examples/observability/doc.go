// Command observability is a service to be watched: a bank with traffic, whose numbers go to
// Prometheus (GET /metrics) and, when the environment names a collector, by OTLP.
//
//	go run ./examples/observability -listen :2112
//
// Beside it lie a dashboard for Grafana, alert rules, and a compose file that starts all
// three. See README.md.
package main
