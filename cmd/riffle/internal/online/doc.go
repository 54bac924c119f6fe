// Package online has the commands that ask an engine: one of a running service through its
// admin API, or one of this process. The command riffle has them with --url; package cli
// gives them to services, over the service's own engine.
package online
