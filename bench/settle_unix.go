//go:build unix

package main

import "syscall"

// syncDisks starts the writing of everything that is in the caches of the system.
func syncDisks() { syscall.Sync() }
