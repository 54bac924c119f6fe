package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// streamEvery is the time between samples.
	streamEvery = time.Second
	// streamMissed is how many samples a client may miss before it is dropped.
	streamMissed = 5
	// streamWrite bounds one write to a client.
	streamWrite = 5 * time.Second
	// streamFor is how long a client watches before it has to come again, and be allowed again.
	streamFor = 15 * time.Minute
)

// sampleView is what the stream carries each second.
type sampleView struct {
	Overview      overviewView       `json:"overview"`
	Subscriptions []subscriptionView `json:"subscriptions"`
}

// hub takes a sample each second, as long as somebody watches, and gives it to all clients.
type hub struct {
	h       *Handler
	life    context.Context // ends with close
	end     context.CancelFunc
	work    sync.WaitGroup
	mu      sync.Mutex
	clients map[*client]struct{}
	running bool
	told    string // the last problem that went to the log; of the goroutine that samples
}

// client is one stream.
type client struct {
	next   chan []byte // what to write next; one fits
	gone   chan struct{}
	missed int
}

func newHub(h *Handler) *hub {
	s := &hub{h: h, clients: make(map[*client]struct{})}
	s.life, s.end = context.WithCancel(context.Background())
	return s
}

func (s *hub) close() {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	s.work.Wait()
}

// join adds a client, if there is room.
func (s *hub) join() (*client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return nil, problemOf(http.StatusServiceUnavailable, "closed", "The handler is closed", "the service stops")
	}
	if most := s.h.options.StreamClients; len(s.clients) >= most {
		p := problemOf(http.StatusServiceUnavailable, "too-many-streams", "Too many clients watch", fmt.Sprintf("at most %d can; poll instead, or come later", most))
		p.retry = true
		return nil, p
	}
	c := &client{next: make(chan []byte, 1), gone: make(chan struct{})}
	s.clients[c] = struct{}{}
	if !s.running {
		s.running = true
		s.work.Go(s.run)
	}
	return c, nil
}

func (s *hub) leave(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
}

// run is the one goroutine that samples.
func (s *hub) run() {
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	for {
		s.send(s.take())
		select {
		case <-tick.C:
		case <-s.life.Done():
		}
		if s.idle() {
			return
		}
	}
}

// idle ends the run when nobody watches any more.
func (s *hub) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.clients) > 0 && s.life.Err() == nil {
		return false
	}
	s.running = false
	return true
}

// take makes the message of a sample, or of the problem that prevents it.
func (s *hub) take() (message []byte) {
	ctx, cancel := context.WithTimeout(s.life, s.h.options.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.h.logger.Error("admin: a sample panicked", "panic", fmt.Sprint(p), "stack", stack())
			message = messageOf("problem", asProblem(errPanic))
		}
	}()
	n, err := s.h.sample.now(ctx)
	if err != nil {
		p := asProblem(err)
		if text := err.Error(); p.private && text != s.told {
			s.told = text
			s.h.logger.Error("admin: a sample failed", "error", err)
		}
		return messageOf("problem", p)
	}
	s.told = ""
	return messageOf("sample", sampleView{s.h.overviewOf(n), s.h.subscriptionsOf(n).Items})
}

func messageOf(name string, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		name, data = "problem", []byte(`{"type":"`+problemPrefix+`internal","title":"Something went wrong","status":500}`)
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data)
}

// send gives a message to every client; one that is still busy with earlier ones misses it,
// and is dropped when it misses too many.
func (s *hub) send(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		select {
		case c.next <- message:
			c.missed = 0
		default:
			if c.missed++; c.missed == streamMissed {
				delete(s.clients, c)
				close(c.gone)
			}
		}
	}
}

// serveStream sends samples until the client goes, the Handler closes, or the client has to
// ask again.
func (h *Handler) serveStream(w http.ResponseWriter, r *http.Request) {
	err := h.mayRead(r, "", "")
	if p := parameters(r); err == nil {
		err = p.err
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", "text/event-stream")
		return
	}
	c, err := h.hub.join()
	if err != nil {
		h.fail(w, r, err)
		return
	}
	defer h.hub.leave(c)
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies that gather answers would hold it back
	write := func(message []byte) bool {
		// A writer without deadlines has the server's.
		_ = out.SetWriteDeadline(time.Now().Add(streamWrite))
		_, err := w.Write(message)
		return err == nil && out.Flush() == nil
	}
	if !write([]byte("retry: 2000\n\n")) {
		return
	}
	over := time.NewTimer(streamFor)
	defer over.Stop()
	for {
		select {
		case message := <-c.next:
			if !write(message) {
				return
			}
		case <-c.gone:
			return
		case <-over.C:
			return
		case <-r.Context().Done():
			return
		case <-h.hub.life.Done():
			return
		}
	}
}
