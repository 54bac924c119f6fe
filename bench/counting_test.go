package main

import (
	"testing"

	"github.com/riffle-go/riffle/store"
)

func TestReadsOfTheStoreAreCounted(t *testing.T) {
	t.Parallel()
	c, err := openCounting(t.TempDir() + "/store")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.store.Close(); err != nil {
			t.Error(err)
		}
	}()
	r := &riffle{st: c.store, streams: accounts(1, 1)}
	if err := r.append(t.Context(), 0, 0); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func() error{
		func() error { _, err := c.store.Read(t.Context(), store.Query{}); return err },
		func() error {
			for _, err := range c.store.Projections(t.Context()) {
				return err
			}
			return nil
		},
		func() error {
			_, err := c.store.Subscriber(store.SubscriberKey{Projection: "p"}).Info(t.Context())
			return err
		},
	} {
		before := c.reads.Load()
		if err := read(); err != nil {
			t.Fatal(err)
		}
		if c.reads.Load() == before {
			t.Error("a read was not counted")
		}
	}
	before := c.reads.Load()
	if _, err := c.store.Head(t.Context()); err != nil || c.reads.Load() != before {
		t.Errorf("the head counts as a read (%v)", err)
	}
}
