package admin

import (
	"testing"
	"time"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

func TestRatesCompareTheSameGeneration(t *testing.T) {
	t.Parallel()
	began := time.Now()
	s := &sampler{seen: []seen{{at: began, head: 100, checkpoints: map[string]checkpoint{
		"same": {0, 10}, "rebuilt": {0, 10}, "rewound": {0, 10},
	}}}}
	status := func(name string, generation uint32, at event.Position) engine.Status {
		return engine.Status{Projection: name, Subscriber: store.SubscriberInfo{
			Key: store.SubscriberKey{Projection: name, Generation: generation}, Checkpoint: at,
		}}
	}
	n := &sample{at: began.Add(2 * time.Second), head: store.Head{Position: 140}, rates: map[string]*float64{}, statuses: []engine.Status{
		status("same", 0, 20), status("rebuilt", 1, 20), status("rewound", 0, 5), status("new", 0, 20),
	}}
	s.rate(t.Context(), n)
	if r := n.rates["same"]; r == nil || *r != 5 {
		t.Errorf("same: %v", r)
	}
	for _, name := range []string{"rebuilt", "rewound", "new"} {
		if r := n.rates[name]; r != nil {
			t.Errorf("%s: %v", name, *r)
		}
	}
	if n.appendRate == nil || *n.appendRate != 20 {
		t.Errorf("appends: %v", n.appendRate)
	}
}
