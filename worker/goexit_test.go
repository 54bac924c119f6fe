package worker_test

import "runtime"

// goexit ends the goroutine, as testing.T.FailNow does.
func goexit() { runtime.Goexit() }
