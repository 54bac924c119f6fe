package worker_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore"
)

// holding is a disk whose syncs wait while a test holds it.
type holding struct {
	vfs.FS
	mu   sync.Mutex
	gate chan struct{} // closed when they may go on; nil while nobody holds it
}

func (h *holding) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gate = make(chan struct{})
}

func (h *holding) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.gate)
	h.gate = nil
}

func (h *holding) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := h.FS.Create(name, c)
	if err != nil {
		return nil, err
	}
	return &heldFile{f, h}, nil
}

func (h *holding) Unwrap() vfs.FS { return h.FS }

type heldFile struct {
	vfs.File
	fs *holding
}

func (f *heldFile) SyncData() error {
	f.fs.mu.Lock()
	gate := f.fs.gate
	f.fs.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return f.File.SyncData()
}

// text is what effects emit that emit much.
type text struct{ Text string }

func (text) EventType() event.Type { return echoes.Event("text") }

// What was emitted and is not committed is bounded, however slow the disk is.
func TestEmitsThatWaitForTheirCommitAreFew(t *testing.T) {
	const events = 600
	for name, c := range map[string]struct {
		size int // of what each event emits
		most int64
	}{
		"events": {10, 256},
		"bytes":  {300 << 10, 4}, // the fourth one makes it 1 MiB
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				disk := &holding{FS: vfs.NewMem()}
				b = setupWith(b.T, &pebblestore.Options{FS: disk, Store: store.Options{Logger: slog.New(slog.DiscardHandler)}})
				var handled atomic.Int64
				p := mailer(projection.Options{BatchEmits: true}, func(ctx context.Context, _ Deposited, ev event.Event) error {
					if handled.Add(1) == 1 {
						disk.hold()
					}
					return projection.Emit(ctx, store.Batch{
						Stream: echoes.Stream("all"), Expect: store.Any, Events: event.Of(text{strings.Repeat("x", c.size)}),
					})
				})
				n, all := int(min(events, 3*c.most)), uint64(0)
				var w *running
				for range 2 { // what is committed counts no more
					handled.Store(0)
					last := b.append(accounts.Stream("a"), slices.Repeat([]event.Payload{Deposited{Cents: 1}}, n)...)
					all += uint64(n)
					if w == nil {
						w = b.start(b.config(p))
					}
					pass(time.Second)
					if got := handled.Load(); got != c.most {
						b.Errorf("%d events were handled while nothing could be committed, want %d", got, c.most)
					}
					disk.release()
					w.waits(last)
					if info, err := b.store.Stream(b.Context(), echoes.Stream("all")); err != nil || info.Version != all {
						b.Errorf("%d events emitted, want %d (%v)", info.Version, all, err)
					}
				}
				w.drains()
			})
		})
	}
}
