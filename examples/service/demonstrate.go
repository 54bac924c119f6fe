package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/riffle-go/riffle/event"
)

// demonstrate uses the service as its clients and operators do.
func demonstrate(ctx context.Context, out io.Writer, url, password string) error {
	c := client{url}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, step := range []struct {
		path string
		in   ask
	}{
		{"/owners", ask{ID: "ann", Name: "Ann", Address: "ann@example.org"}},
		{"/accounts", ask{ID: "a-1", Owner: "ann", Cents: 100_00}},
		{"/accounts", ask{ID: "a-2", Owner: "ann"}},
	} {
		if _, err := c.do(ctx, event.NewID(), step.path, step.in); err != nil {
			return err
		}
	}

	// The answer to a deposit is lost; the client sends it again, with the same key.
	key, in := event.NewID(), ask{Cents: 25_00}
	first, err := c.do(ctx, key, "/accounts/a-1/deposits", in)
	if err != nil {
		return err
	}
	again, err := c.do(ctx, key, "/accounts/a-1/deposits", in)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "a deposit at position %d, and again: position %d, replayed %t\n", first.Position, again.Position, again.Replayed)

	var acc account
	if err := c.get(ctx, "/accounts/a-1?after="+again.Position.String(), &acc); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "read behind it: %d cents\n", acc.Cents)

	_, err = c.do(ctx, event.NewID(), "/accounts/a-1/withdrawals", ask{Cents: 999_00})
	if e, ok := errors.AsType[*statusError](err); !ok || e.status != http.StatusConflict {
		return fmt.Errorf("service: too much was withdrawn: %v", err)
	}
	_, _ = fmt.Fprintln(out, "a withdrawal is refused:", err)

	id := event.NewID()
	if _, err := c.do(ctx, id, "/transfers", ask{From: "a-1", To: "a-2", Cents: 40_00}); err != nil {
		return err
	}
	t, err := c.settled(ctx, id)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "a transfer of %d cents is %s\n", t.Cents, t.State)
	return inspect(ctx, out, url, password)
}

// settled waits until a transfer has ended.
func (c client) settled(ctx context.Context, id event.ID) (t Transfer, err error) {
	for {
		err := c.get(ctx, "/transfers/"+id.String(), &t)
		if e, ok := errors.AsType[*statusError](err); err != nil && (!ok || e.status != http.StatusNotFound) {
			return t, err
		}
		if err == nil && t.State != "requested" {
			return t, nil
		}
		select {
		case <-ctx.Done():
			return t, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// inspect asks what orchestrators and operators ask. A service that has just begun is not
// ready at once.
func inspect(ctx context.Context, out io.Writer, url, password string) error {
	for _, path := range []string{"/livez", "/readyz", "/admin/api/v1/overview"} {
		for {
			status, err := probe(ctx, url+path, password)
			if err != nil {
				return err
			}
			if status == http.StatusOK {
				break
			}
			if status != http.StatusServiceUnavailable {
				return fmt.Errorf("service: %s answers %d", path, status)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(50 * time.Millisecond):
			}
		}
		_, _ = fmt.Fprintln(out, "GET", path, "is fine")
	}
	return nil
}

func probe(ctx context.Context, url, password string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.SetBasicAuth("operator", password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}
