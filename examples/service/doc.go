// Command service is a bank behind HTTP, as a team would write it: commands that are safe to
// retry, reads that see one's own writes, health for an orchestrator, the admin page behind
// a password, telemetry by OTLP, and a stop in the right order within a deadline.
//
//	ADMIN_PASSWORD=secret go run ./examples/service -listen :8080 -dir service.db
//
// With riffle as its first argument it is the riffle command line with this program's own
// projections. See README.md.
package main
