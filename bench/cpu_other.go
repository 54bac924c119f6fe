//go:build !unix

package main

import (
	"errors"
	"time"
)

// cpuTime is known on Unix only.
func cpuTime() (time.Duration, error) {
	return 0, errors.New("the CPU time of a process is measured on Unix only; leave the figure out with -run")
}
