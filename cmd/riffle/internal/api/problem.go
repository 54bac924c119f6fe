package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// Problem is an error of the API, as RFC 9457 writes it.
type Problem struct {
	Type       string `json:"type"`
	Title      string `json:"title"`
	Status     int    `json:"status"`
	Detail     string `json:"detail"`
	Projection string `json:"projection"`
	State      string `json:"state"`
	Field      string `json:"field"`
}

func (p *Problem) Error() string {
	text := strings.TrimSuffix(p.Title, ".")
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	switch p.Kind() {
	case "read-only":
		text += "; the service has to give its admin handler an Authorize function"
	case "unknown-projection":
		text += "; riffle subscriptions lists them"
	case "misdirected":
		text += "; the service decides by which names it may be reached"
	}
	return text
}

// Kind is the last part of the type.
func (p *Problem) Kind() string { return p.Type[strings.LastIndexByte(p.Type, ':')+1:] }

// unreachable explains why there is no answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	switch e, ok := errors.AsType[*url.Error](err); {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s does not answer in time", c.base)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody listens at %s: does the service run, and is this its address? (%w)", c.base, err)
	case ok: // the error repeats the whole address
		return fmt.Errorf("%s cannot be reached: %w", c.base, e.Err)
	}
	return fmt.Errorf("%s cannot be reached: %w", c.base, err)
}

// firstLine is the beginning of an answer that is not the API's.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if strings.HasPrefix(line, "<") {
		return "a page for browsers"
	}
	if len(line) > 200 {
		line = line[:200] + "…"
	}
	return strconv.Quote(line) // it may hold anything
}
