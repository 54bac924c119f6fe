//go:build linux || darwin || freebsd || netbsd || openbsd

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"syscall"
)

// lockHolder names the process that has locked a file, "" when nobody can tell: on
// network file systems, and for processes of other containers.
func lockHolder(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil || lock.Type == syscall.F_UNLCK || lock.Pid <= 0 {
		return ""
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", lock.Pid))
	if err != nil {
		return fmt.Sprintf("process %d", lock.Pid)
	}
	return fmt.Sprintf("process %d (%s)", lock.Pid, bytes.TrimSpace(name))
}
