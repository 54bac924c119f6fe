package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/semaphore"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/telemetry"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/store/pebblestore/internal/fuse"
)

// driver is the store.Driver on Pebble.
type driver struct {
	opts      Options
	dir       string
	db        *pebble.DB
	cache     *pebble.Cache
	lock      *pebble.Lock
	fuse      *fuse.FS
	space     *fuse.Space
	telemetry *telemetry.Store
	history   event.ID
	layout    uint64

	head     atomic.Pointer[headState]
	dict     atomic.Pointer[dictionary]
	versions *versionCache
	notifier *notifier
	leases   *leaseTable
	stalls   stalls
	average  atomic.Int64 // bytes of an envelope, for the size of a page's arena

	appending atomic.Int32 // requests on their way through the committer

	inbox    *inbox
	syncs    chan chan error
	backups  chan struct{} // of capacity 1: held while a backup is made
	room     *semaphore.Weighted
	requests sync.Pool // of *request
	term     uint64    // the committer's

	life      context.Context // ends when the store closes
	end       context.CancelCauseFunc
	closing   chan struct{}
	committed chan struct{} // closed when the committer has ended
	ended     chan struct{} // closed when it has ended or will never answer again
	helpers   sync.WaitGroup

	mu     sync.RWMutex // held for reading while Pebble is read
	closed bool
	once   sync.Once
	result error
}

// headState is the durable end of the log.
type headState struct {
	position uint64
	millis   int64
}

// Open opens the store in dir, and creates it if there is none. nil options are the
// defaults. The caller closes the store.
//
// Errors: ErrLocked when another process, or this one, has the directory open;
// ErrIncompatible when a newer version wrote it, or another program that uses Pebble;
// *InvalidError for wrong options and for the directory of an unfinished backup; and what
// the file system says.
func Open(dir string, o *Options) (*store.Store, error) {
	opts := o.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	d, err := open(dir, opts)
	if err != nil {
		return nil, err
	}
	s, err := store.New(d, &opts.Store)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return s, nil
}

// OpenMem opens an empty store in memory, for tests and demos. It keeps every promise
// but durability: its data is gone when it is closed.
func OpenMem(o *Options) (*store.Store, error) {
	opts := o.withDefaults()
	if o == nil || o.FS == nil {
		opts.FS = vfs.NewMem()
	}
	if o == nil || o.CacheSize == 0 {
		opts.CacheSize = minCacheSize
	}
	if opts.FreeSpace == 0 {
		opts.FreeSpace = NoFreeSpaceCheck
	}
	tune := opts.Tune
	opts.Tune = func(p *pebble.Options) {
		p.MemTableSize = 4 << 20 // tests open many stores
		if tune != nil {
			tune(p)
		}
	}
	return Open("riffle", &opts)
}

func open(dir string, opts Options) (_ *driver, err error) {
	if dir == "" {
		return nil, &store.InvalidError{Field: "dir", Reason: "empty; name the directory of the store"}
	}
	if isPartial(opts.FS, dir) {
		return nil, &store.InvalidError{Field: "dir", Reason: fmt.Sprintf("%s ends in %s: it is a backup that was not finished; remove it", dir, partialSuffix)}
	}
	d := &driver{
		opts: opts, dir: dir,
		fuse:      fuse.Wrap(orderedFS{opts.FS}),
		inbox:     newInbox(),
		syncs:     make(chan chan error),
		backups:   make(chan struct{}, 1),
		room:      semaphore.NewWeighted(maxQueueBytes),
		closing:   make(chan struct{}),
		committed: make(chan struct{}),
		ended:     make(chan struct{}),
	}
	d.notifier = newNotifier(d)
	d.leases = newLeaseTable(d)
	d.life, d.end = context.WithCancelCause(context.Background())
	defer func() {
		if err != nil {
			d.end(err)
			err = errors.Join(err, d.orAbandon(d.release))
		}
	}()
	if d.telemetry, err = telemetry.NewStore(telemetry.StoreConfig{
		Name: opts.Store.Name, TracerProvider: opts.Store.TracerProvider, MeterProvider: opts.Store.MeterProvider,
	}); err != nil {
		return nil, err
	}
	if !opts.ReadOnly {
		if err := d.fuse.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("pebblestore: create %s: %w", dir, err)
		}
	}
	if d.lock, err = pebble.LockDirectory(dir, d.fuse); err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok { // the file cannot be made
			return nil, fmt.Errorf("pebblestore: open %s: %w", dir, err)
		}
		return nil, fmt.Errorf("pebblestore: %s: %w: another process (or another Open in this one) has it open; close that first, or look at the live store through its admin API or a backup of it (%w)", dir, store.ErrLocked, err)
	}
	d.cache = pebble.NewCache(opts.CacheSize * cacheShare / 100)
	p := opts.pebbleOptions(d.cache)
	d.observe(p)
	if err = d.boot(p); err != nil {
		return nil, openError(dir, err)
	}
	if opts.ReadOnly {
		close(d.committed)
		return d, nil
	}
	if d.opts.FreeSpace == 0 {
		d.opts.FreeSpace = int64(max(defaultFreeSpace, 2*p.MemTableSize))
	}
	d.start()
	return d, nil
}

// boot opens Pebble and reads what the driver keeps in memory. The fuse passes errors on
// until Pebble is open or flushes what it replayed, but some of them make Pebble call
// Fatalf; so both steps can meet a fuse that never lets them return.
func (d *driver) boot(p *pebble.Options) error {
	opened := make(chan *pebble.DB, 1)
	if err := d.unlessFailed(func() error {
		db, err := pebble.Open(d.dir, p)
		opened <- db
		if err == nil && !d.opts.ReadOnly {
			d.fuse.Arm()
		}
		return err
	}); err != nil {
		return err
	}
	d.db = <-opened
	return d.unlessFailed(d.load)
}

// unlessFailed runs f, which never returns when the disk fails in it: then the failure is
// the answer.
func (d *driver) unlessFailed(f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				d.fuse.Trip(fmt.Errorf("panic: %v", p))
			}
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-d.fuse.Failed():
	}
	select {
	case err := <-done:
		return errors.Join(err, d.failure())
	default:
		return d.failure()
	}
}

// start starts what runs beside the callers.
func (d *driver) start() {
	if d.opts.FreeSpace != NoFreeSpaceCheck {
		d.space = fuse.NewSpace(d.fuse, d.dir, uint64(d.opts.FreeSpace))
		d.space.Poll()
		d.helpers.Go(func() { d.space.Run(d.life, time.Second) })
	}
	d.helpers.Go(d.sampleMetrics)
	d.helpers.Go(d.logFailure)
	go d.commitLoop()
	go func() {
		defer close(d.ended)
		select {
		case <-d.committed:
		case <-d.fuse.Failed():
		}
	}()
}

// release frees what open has taken so far.
func (d *driver) release() error {
	var errs []error
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	if d.cache != nil {
		d.cache.Unref()
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

func openError(dir string, err error) error {
	switch {
	case pebble.IsCorruptionError(err) && !errors.Is(err, store.ErrCorrupt):
		return &store.CorruptError{What: "store", Key: dir, Err: err}
	case strings.Contains(err.Error(), "unknown format major version"): // Pebble has no error value for it
		return fmt.Errorf("pebblestore: open %s: %w: %w; use the newer version that wrote it", dir, store.ErrIncompatible, err)
	}
	return fmt.Errorf("pebblestore: open %s: %w", dir, err)
}

// now is the clock of events. Leases have the monotonic one.
func (d *driver) now() time.Time { return d.opts.clock() }
