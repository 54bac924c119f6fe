package worker

import (
	"fmt"
	"runtime/debug"
)

// maxStack bounds the stack that an error carries: rows and logs keep it.
const maxStack = 4 << 10

// protect calls f and turns a panic into an error. It does not return when f calls
// runtime.Goexit: see apart.
func protect(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			stack := debug.Stack()
			err = &PanicError{Value: v, Stack: stack[:min(len(stack), maxStack)]}
		}
	}()
	return f()
}

// apart runs f in a goroutine of its own and waits for it, so that runtime.Goexit in a
// handler ends that goroutine and not the worker's. It returns errGoexit then. A panic of
// the worker's own code, outside of protect, is an error too: it must not take the process
// along.
func apart(f func()) error {
	done := make(chan error, 1)
	go func() {
		err := errGoexit
		defer func() {
			if v := recover(); v != nil {
				err = outside(v)
			}
			done <- err
		}()
		f()
		err = nil
	}()
	return <-done
}

// outside makes the error of a panic that no handler is to blame for, with the stack of
// who panicked. It is called while that is there: by a deferred function.
func outside(v any) error {
	stack := debug.Stack()
	if err, ok := v.(error); ok {
		return fmt.Errorf("worker: panic outside of a handler: %w\n%s", err, stack[:min(len(stack), maxStack)])
	}
	return fmt.Errorf("worker: panic outside of a handler: %v\n%s", v, stack[:min(len(stack), maxStack)])
}

// recovered is deferred to turn a panic into the error that a function returns.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = outside(v)
	}
}

// errGoexit says that a handler ended its goroutine.
var errGoexit error = &PanicError{Goexit: true}
