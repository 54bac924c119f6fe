package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// outbox plays the provider that delivers messages: a file with a line for each. Like a good
// provider it knows the ids of what it has delivered, so that a repeated message goes out
// once.
type outbox struct {
	mu        sync.Mutex
	file      *os.File
	delivered map[string]int // times, by id
}

// openOutbox reads what was delivered, and cuts off a line that a crash left incomplete.
func openOutbox(name string) (_ *outbox, err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	o := &outbox{file: file, delivered: map[string]int{}}
	whole := int64(0)
	for r := bufio.NewReader(file); ; {
		line, err := r.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			_ = file.Close()
			return nil, err
		}
		whole += int64(len(line))
		id, _, _ := strings.Cut(line, "\t")
		o.delivered[id]++
	}
	if err := file.Truncate(whole); err != nil {
		_ = file.Close()
		return nil, err
	}
	return o, nil
}

// Send implements the domain's Sender. When it returns, the message is on disk.
func (o *outbox) Send(_ context.Context, id, to, text string) error {
	o.mu.Lock()
	known := o.delivered[id] > 0
	if !known {
		if _, err := fmt.Fprintf(o.file, "%s\t%s\t%s\n", id, to, text); err != nil {
			o.mu.Unlock()
			return err
		}
		o.delivered[id]++
	}
	o.mu.Unlock()
	// Outside of the lock, so that messages sent at the same time share the disk's answer. A
	// known message is synced, too: the one who sent it first may have died before.
	return o.file.Sync()
}

// times returns how often a message was delivered.
func (o *outbox) times(id string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.delivered[id]
}

// Close closes the file.
func (o *outbox) Close() error { return o.file.Close() }
