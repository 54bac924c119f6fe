package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"
)

const (
	// streamSilence is how long a stream may say nothing; it should each second.
	streamSilence = 30 * time.Second
	// maxSample bounds one sample.
	maxSample = 16 << 20
	// pollEvery is how often is asked where streams are full.
	pollEvery = 2 * time.Second
	// againAfter is the time before a stream that ended is opened again.
	againAfter = time.Second
	// patience is for how many openings in a row a service may be away.
	patience = 30
)

// Watch yields samples until the context ends. When a stream ends it opens another one;
// when there is no room for one more it asks from time to time. An error that will not go
// away by itself is yielded last.
func (c *Client) Watch(ctx context.Context) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		failed, seen := 0, false
		for {
			stopped, fresh, err := c.stream(ctx, yield)
			if stopped || ctx.Err() != nil {
				return
			}
			if p, ok := errors.AsType[*Problem](err); ok && p.Kind() == "too-many-streams" {
				var s Sample
				if s, err = c.Sample(ctx); err == nil {
					if !yield(s, nil) || !pause(ctx, pollEvery) {
						return
					}
					fresh = true
				}
			}
			seen = seen || fresh
			if fresh {
				failed = 0
			} else if failed++; err != nil && (!seen || failed > patience) {
				yield(Sample{}, err)
				return
			}
			if !pause(ctx, againAfter) {
				return
			}
		}
	}
}

// Sample asks for what a stream carries.
func (c *Client) Sample(ctx context.Context) (s Sample, err error) {
	if s.Overview, err = c.Overview(ctx); err == nil {
		s.Subscriptions, err = c.Subscriptions(ctx)
	}
	return s, err
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// stream reads one stream. fresh says that it had a sample, stopped that no more is wanted.
func (c *Client) stream(ctx context.Context, yield func(Sample, error) bool) (stopped, fresh bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(streamSilence, func() { cancel(fmt.Errorf("%s has fallen silent", c.base)) })
	defer silence.Stop()
	resp, err := c.request(ctx, http.MethodGet, "stream", nil)
	if err != nil {
		return false, false, err
	}
	defer func() { _ = resp.Body.Close() }()
	var body []byte
	if resp.StatusCode != http.StatusOK {
		if body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
			return false, false, err
		}
	}
	if err := c.check(resp, body); err != nil {
		return false, false, err
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 64<<10), maxSample)
	kind := ""
	for lines.Scan() {
		silence.Reset(streamSilence)
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			kind = name
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		if kind == "problem" {
			p := &Problem{}
			if err := json.Unmarshal([]byte(data), p); err != nil {
				return false, fresh, err
			}
			return false, fresh, p
		}
		var s Sample
		if err := json.Unmarshal([]byte(data), &s); err != nil {
			return false, fresh, fmt.Errorf("%s sends no samples: %w", c.base, err)
		}
		if fresh = true; !yield(s, nil) {
			return true, true, nil
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return false, fresh, cause
	}
	return false, fresh, lines.Err()
}
