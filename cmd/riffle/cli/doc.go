// Package cli is the riffle command line for a program that has projections of its own:
//
//	if len(os.Args) > 1 && os.Args[1] == "riffle" {
//		cmd := cli.Open(open, nil)
//		cmd.SetArgs(os.Args[2:])
//		…
//	}
//
// so that "myservice riffle rebuild balances" rebuilds with the program's own handlers,
// which the command riffle does not have. The commands are subscriptions, parked, events,
// streams, top, pause, resume, retry, skip, rewind, rebuild and release.
//
// Without --url the commands work on the engine that the program opens; a running service
// holds its store, so that this is for times when it does not run. With --url they ask the
// running service through its admin API, as the command riffle does.
//
// While a rebuild goes on, the engine runs, and with it all its projections: effects act on
// the world as they do in the service. Give the command an engine with the models alone
// where that is not wanted.
//
// # Failure
//
// A command returns its error, and does not print it. A store that another process has
// open is store.ErrLocked; ErrLocked's text then says to use --url.
package cli
