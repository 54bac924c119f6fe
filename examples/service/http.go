package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/riffle-go/riffle/event"
	bank "github.com/riffle-go/riffle/examples/bank/domain"
	"github.com/riffle-go/riffle/store"
)

// errInvalid is what every invalid request is.
var errInvalid = errors.New("service: invalid request")

func invalid(text string) error { return fmt.Errorf("%w: %s", errInvalid, text) }

// command answers a request that changes something. Its Idempotency-Key, a ULID, makes it
// safe to send again when the answer was lost; who asked is kept in every event's metadata.
func (a *api) command(f func(ctx context.Context, key event.ID, r *http.Request, in ask) (done, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, err := event.ParseID(r.Header.Get("Idempotency-Key"))
		if err != nil || key.IsZero() {
			fail(w, r, invalid("the header Idempotency-Key must be a ULID: make one for each request, and keep it for all tries"))
			return
		}
		var in ask
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&in); err != nil {
			fail(w, r, invalid(err.Error()))
			return
		}
		ctx := r.Context()
		if user := r.Header.Get("X-User"); user != "" { // a proxy in front has checked it
			ctx = event.WithMetadata(ctx, event.Metadata{}.With(event.RequestedBy, user))
		}
		res, err := f(ctx, key, r, in)
		if err != nil {
			fail(w, r, err)
			return
		}
		answer(w, http.StatusOK, res)
	})
}

// query answers a request that reads.
func (a *api) query(f func(ctx context.Context, r *http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r.Context(), r)
		if err != nil {
			fail(w, r, err)
			return
		}
		answer(w, http.StatusOK, v)
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone
}

// statuses are what errors mean to clients. After 503 the same request may be sent again,
// with the same key.
var statuses = []struct {
	err    error
	status int
}{
	{errInvalid, http.StatusBadRequest},
	{bank.ErrAmount, http.StatusBadRequest},
	{bank.ErrSameAccount, http.StatusBadRequest},
	{store.ErrInvalid, http.StatusBadRequest},
	{bank.ErrNoAccount, http.StatusNotFound},
	{bank.ErrNoOwner, http.StatusNotFound},
	{store.ErrNotFound, http.StatusNotFound},
	{errReused, http.StatusUnprocessableEntity},
	{bank.ErrNotActive, http.StatusConflict},
	{bank.ErrInsufficient, http.StatusConflict},
	{store.ErrConflict, http.StatusConflict},
	{errNotYet, http.StatusServiceUnavailable},
	{store.ErrFailed, http.StatusServiceUnavailable},
	{store.ErrUnknown, http.StatusServiceUnavailable},
	{store.ErrDiskFull, http.StatusServiceUnavailable},
	{store.ErrClosed, http.StatusServiceUnavailable},
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	for _, s := range statuses {
		if !errors.Is(err, s.err) {
			continue
		}
		if s.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		answer(w, s.status, map[string]string{"error": err.Error()})
		return
	}
	if r.Context().Err() == nil {
		slog.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	answer(w, http.StatusInternalServerError, map[string]string{"error": "internal error"})
}

// behindPassword lets one user through. Both sides are hashed, so that the comparison takes
// as long for every guess.
func behindPassword(user, password string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(user + "\x00" + password))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		got := sha256.Sum256([]byte(u + "\x00" + p))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="riffle", charset="UTF-8"`)
			http.Error(w, "a password is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
