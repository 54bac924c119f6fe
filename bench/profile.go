package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"
)

// profileTime is how long our side runs for a profile: the profiler looks a hundred times
// per second.
const profileTime = 5 * time.Second

// profile runs our side some more and writes what it spent: CPU time and waits for locks in
// these runs, memory since the start of the program. They count for nothing else.
func (b *bench) profile(ctx context.Context, ours side) (err error) {
	b.settle()
	cpu, err := b.profileFile("cpu")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cpu.Close()) }()
	runtime.SetMutexProfileFraction(100)
	defer runtime.SetMutexProfileFraction(0)
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	for start := time.Now(); err == nil && time.Since(start) < min(profileTime, 20*b.time); {
		_, err = ours(ctx)
	}
	pprof.StopCPUProfile()
	if err != nil {
		return err
	}
	for _, kind := range []string{"allocs", "mutex"} {
		f, err := b.profileFile(kind)
		if err != nil {
			return err
		}
		if err := errors.Join(pprof.Lookup(kind).WriteTo(f, 0), f.Close()); err != nil {
			return fmt.Errorf("profile: %w", err)
		}
	}
	return nil
}

func (b *bench) profileFile(kind string) (*os.File, error) {
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	f, err := os.Create(filepath.Join(b.profiles, b.figure+"."+kind+".pprof"))
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return f, nil
}
