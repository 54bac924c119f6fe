package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/riffle-go/riffle/event"
)

// client is a client of the service.
type client struct{ url string }

// statusError is an answer that is not 200.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return fmt.Sprintf("%d: %s", e.status, e.text) }

// do sends a command once. To try again, call it with the same key.
func (c client) do(ctx context.Context, key event.ID, path string, in ask) (done, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return done{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, bytes.NewReader(body))
	if err != nil {
		return done{}, err
	}
	req.Header.Set("Idempotency-Key", key.String())
	req.Header.Set("X-User", "client")
	var res done
	return res, c.send(req, &res)
}

// get reads.
func (c client) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return err
	}
	return c.send(req, into)
}

func (c client) send(req *http.Request, into any) error {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return &statusError{resp.StatusCode, string(bytes.TrimSpace(body))}
	}
	return json.Unmarshal(body, into)
}
