package worker

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// unit is one event in the hands of an effect.
type unit struct {
	ev     event.Event
	key    string
	keyErr error
	page   *effectPage // nil for an event that was set aside before
	row    store.Row   // of such an event

	state     unitState
	emits     []store.Batch
	emitBytes int
	err       error
	first     error // of the tries
	tries     int
	final     bool           // its failure parks it
	single    bool           // one try only
	again     bool           // what it did meanwhile does not count: it must come after another one
	conflicts int            // of its emits
	contended []event.Stream // where it met them
	since     time.Time      // when it met the first
	turn      func()         // ends its turn with those streams; nil while it has none
	notBefore time.Time
}

type unitState uint8

const (
	unitReady    unitState = iota
	unitRunning            // in a handler, or between two tries
	unitFailed             // the session decides what becomes of it
	unitFinished           // handled, set aside, or passed over
)

// effectPage is a page under way.
type effectPage struct {
	ctx  context.Context
	span *process
	all  int
	left int
}

// effectExecutor hands events to an effect's handlers: different keys at the same time, the
// events of one key in order. What the goroutines of handlers share with the session is
// under mu. They never wait for the session: it looks at what they did.
type effectExecutor struct {
	*session
	most     int // handlers at the same time
	wake     chan struct{}
	next     chan *unit    // to spare goroutines
	closed   chan struct{} // ends them
	handlers sync.WaitGroup

	mu sync.Mutex
	// window holds the units from the first one that is not finished, or whose emits are not
	// committed; by position.
	window []*unit
	to     event.Position // everything up to here was fed
	at     event.Position // everything up to here is finished, and its emits are committed
	left   int            // units of the window that are not finished

	ready   []*unit            // by position
	retries []*unit            // set aside before
	queues  map[string][]*unit // behind a running one of their key; only with several handlers
	stuck   map[string]struct{}
	turn    int            // retries and new events take turns
	held    event.Position // units beyond it wait for a commit; 0 is none
	budget  int            // handlers that may start; negative is any number
	running int            // goroutines that handle something
	spare   int            // goroutines that wait for something to handle
	crash   error

	verdicts []*unit // failed
	behinds  []*unit // their key is blocked
	done     []*unit // retries that are handled

	unsaved  int // finished units that are in no commit
	savedAt  time.Time
	rowEmits []*unit // retries whose emits are not committed
	emits    int     // events emitted and not committed
	bytes    int     // of them
	solo     int     // so many emitting units are committed one by one
	flight   emitting

	crowded bool          // by others who append to the same streams all the time
	moment  time.Duration // for how long an event then gets them for itself
}

// emitting is what a commit under way carries of an effect.
type emitting struct {
	units   []*unit // that emit, in the order of their batches
	window  int     // units of the window, from its front
	rows    int     // of rowEmits
	unsaved int
}

func newEffectExecutor(s *session) *effectExecutor {
	most := max(s.program.Concurrency, 1)
	return &effectExecutor{
		moment:  shortTurn,
		session: s, most: most, wake: make(chan struct{}, 1), budget: -1,
		next: make(chan *unit, most), closed: make(chan struct{}),
		queues: map[string][]*unit{}, stuck: map[string]struct{}{},
	}
}

func (e *effectExecutor) open(at event.Position) (event.Position, error) {
	e.at, e.to = at, at
	for key := range e.rows.keys {
		e.stuck[key] = struct{}{}
	}
	return at, nil
}

func (e *effectExecutor) woken() <-chan struct{} { return e.wake }

func (e *effectExecutor) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// low is how many units may be left when the next page is wanted.
func (e *effectExecutor) low() int { return max(e.program.PageSize/2, e.most) }

func (e *effectExecutor) hungry() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.left <= e.low() && len(e.window) <= 4*max(e.program.PageSize, e.most)
}

func (e *effectExecutor) empty() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.window) == 0 && len(e.retries) == 0 && len(e.done) == 0 && len(e.rowEmits) == 0 && e.idle()
}

func (e *effectExecutor) quiet() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.idle() && len(e.done) == 0
}

func (e *effectExecutor) idle() bool {
	return e.running == 0 && len(e.verdicts) == 0 && len(e.behinds) == 0
}

func (e *effectExecutor) position() event.Position {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trim()
	return e.at
}

// trim drops what is finished and needs no commit of its own from the front of the window.
func (e *effectExecutor) trim() {
	n := 0
	for n < len(e.window) && e.window[n].state == unitFinished && len(e.window[n].emits) == 0 {
		n++
	}
	e.drop(n)
}

func (e *effectExecutor) drop(n int) {
	clear(e.window[:n])
	e.window = e.window[n:]
	if len(e.window) == 0 {
		e.window = nil
		e.at = max(e.at, e.to)
		return
	}
	e.at = max(e.at, before(e.window[0].ev.Position))
}

func (e *effectExecutor) pending() pending {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.trim()
	p := pending{units: e.unsaved, since: e.savedAt}
	p.sync = len(e.rowEmits) > 0 || len(e.window) > 0 && e.window[0].state == unitFinished
	if p.sync {
		p.units = max(p.units, 1)
	}
	return p
}

// feed takes a page. Its keys are found in a goroutine of their own where that is code of
// the user.
func (e *effectExecutor) feed(p page) {
	pg := &effectPage{all: len(p.events)}
	pg.ctx, pg.span = e.rec.page(e.ctx, p.events)
	units := make([]unit, len(p.events))
	next := 0
	find := func() {
		for ; next < len(units); next++ {
			u := &units[next]
			u.ev, u.page = p.events[next], pg
			u.key, u.keyErr = e.keyOf(u.ev)
		}
	}
	if e.program.PlainKeys {
		find()
	}
	for next < len(units) && apart(find) != nil { // ended by this key
		u := &units[next]
		u.key, u.keyErr = u.ev.Stream.ID, e.unkeyed(u.ev, errGoexit)
		next++
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.to = max(e.to, p.to)
	for i := range units {
		if u := &units[i]; u.key != "" { // else nobody handles it
			e.window = append(e.window, u)
			e.ready = append(e.ready, u)
			pg.left++
		}
	}
	e.left += pg.left
	if pg.left == 0 {
		pg.span.end(pg.all, nil)
	}
	e.trim()
	e.kick()
}

// offer tries the first event of a blocked key once more.
func (e *effectExecutor) offer(b *blocked) (bool, error) {
	e.mu.Lock()
	room := len(e.retries) < e.most && e.held == 0
	e.mu.Unlock()
	if !room {
		return false, nil
	}
	ev, err := e.store.Event(e.ctx, b.head().Position)
	if err != nil {
		return false, err
	}
	e.rec.retried()
	b.inHand = true
	u := &unit{ev: ev, key: b.key, row: *b.head(), single: true}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.retries = append(e.retries, u)
	if e.outage.on {
		e.budget, e.turn = 1, 1 // a retry is next
	}
	e.kick()
	return true, nil
}

// probe tries the next new event once. When there is none, it is one that was in hand when
// everything began to fail.
func (e *effectExecutor) probe() (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case len(e.ready) > 0:
		e.ready[0].single = true
	case len(e.retries) == 0:
		return false, nil
	}
	e.budget, e.turn = 1, 0 // a new event is next
	e.kick()
	return e.budget == 0, nil
}

// freed says that a key is blocked no more.
func (e *effectExecutor) freed(key string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.stuck, key)
	e.kick()
}

// advance decides about what the handlers could not.
func (e *effectExecutor) advance() (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.crash != nil {
		return false, e.crash
	}
	verdicts, behinds, done := e.verdicts, e.behinds, e.done
	e.verdicts, e.behinds, e.done = nil, nil, nil
	for _, u := range verdicts {
		if err := e.judge(u); err != nil {
			return true, err
		}
	}
	for _, u := range behinds {
		if !e.rows.blocks(u.key) {
			e.enqueue(u)
			continue
		}
		if err := e.behind(u.key, u.ev.Position); err != nil {
			return true, err
		}
		e.finished(u)
	}
	for _, u := range done {
		e.rows.remove(u.key, u.ev.Position, time.Now())
		e.unblock(u.key)
		e.save()
		if len(u.emits) > 0 {
			e.rowEmits = append(e.rowEmits, u)
		}
	}
	e.budget = -1
	if e.outage.on {
		e.budget = 0
	}
	e.kick()
	return len(verdicts)+len(behinds)+len(done) > 0, nil
}

// judge asks the session what becomes of a unit that failed.
func (e *effectExecutor) judge(u *unit) error {
	f := failure{key: u.key, at: u.ev.Position, err: u.err, first: u.first, tries: max(u.tries, 1), row: u.page == nil, final: u.final}
	what, err := e.settle(f)
	if err != nil {
		u.state = unitReady // it stays what comes next
		return err
	}
	u.err, u.tries = nil, 0
	switch {
	case what == another:
		delete(e.stuck, u.key)
		u.single = false
		e.enqueue(u)
		return nil
	case u.page != nil:
		e.finished(u)
	default:
		e.save()
	}
	e.unblock(u.key)
	return nil
}

func (e *effectExecutor) unblock(key string) {
	if !e.rows.blocks(key) {
		delete(e.stuck, key)
	}
}

// enqueue makes a unit of the window ready again.
func (e *effectExecutor) enqueue(u *unit) {
	u.state = unitReady
	i, _ := slices.BinarySearchFunc(e.ready, u.ev.Position, func(x *unit, p event.Position) int {
		return cmp.Compare(x.ev.Position, p)
	})
	e.ready = slices.Insert(e.ready, i, u)
}

// finished counts a unit of the window.
func (e *effectExecutor) finished(u *unit) {
	u.state = unitFinished
	e.left--
	e.save()
	if u.page.left--; u.page.left == 0 {
		u.page.span.end(u.page.all, nil)
	}
}

// save counts something that a commit has to tell.
func (e *effectExecutor) save() {
	if e.unsaved == 0 {
		e.savedAt = time.Now()
		e.signal() // a time begins to run
	}
	e.unsaved++
}

func (e *effectExecutor) close() {
	select {
	case <-e.closed:
	default:
		close(e.closed)
	}
	e.handlers.Wait()
	for _, u := range e.window {
		if u.page.left > 0 {
			u.page.span.end(u.page.all-u.page.left, e.ctx.Err())
			u.page.left = 0
		}
	}
}
