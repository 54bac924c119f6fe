package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

func TestEveryErrorHasItsProblem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		kind   string
	}{
		{store.ErrInvalid, 400, "invalid"},
		{&store.InvalidError{Field: "Limit"}, 400, "invalid"},
		{problemOf(http.StatusTeapot, "tea", "", ""), 418, "tea"},
		{&forbiddenError{err: errors.New("no")}, 403, "forbidden"},
		{fmt.Errorf("x: %w", engine.ErrUnknown), 404, "unknown-projection"},
		{store.ErrNotFound, 404, "not-found"},
		{&engine.StateError{State: worker.Rebuilding}, 409, "rebuilding"},
		{&engine.StateError{State: worker.Halted}, 409, "unavailable"},
		{engine.ErrUnavailable, 409, "unavailable"},
		{engine.ErrRunning, 409, "running"},
		{projection.ErrUseRebuild, 409, "use-rebuild"},
		{&projection.RebuildingError{}, 409, "rebuilding"},
		{&store.HeldError{}, 409, "held"},
		{&store.LeaseLostError{}, 409, "lease-lost"},
		{&store.GuardError{}, 409, "changed"},
		{&store.ConflictError{}, 409, "conflict"},
		{store.ErrHistory, 410, "history"},
		{&http.MaxBytesError{}, 413, "too-large"},
		{&projection.FoldError{Err: store.ErrNotFound}, 422, "fold"},
		{errors.New("anything"), 500, "internal"},
		{errPanic, 500, "internal"},
		{&store.CorruptError{}, 500, "corrupt"},
		{store.ErrIncompatible, 500, "incompatible"},
		{store.ErrUnsupported, 501, "unsupported"},
		{context.Canceled, 503, "cancelled"},
		{&store.FailedError{Cause: errors.New("disk")}, 503, "store-failed"},
		{store.ErrClosed, 503, "store-closed"},
		{context.DeadlineExceeded, 504, "timeout"},
		{store.ErrDiskFull, 507, "disk-full"},
	} {
		p := asProblem(fmt.Errorf("around: %w", c.err))
		if p.Status != c.status || p.ErrorType() != c.kind || c.kind != "tea" && p.Title == "" {
			t.Errorf("%v: %d %s, want %d %s", c.err, p.Status, p.ErrorType(), c.status, c.kind)
		}
	}
	if p := asProblem(errors.New("a path or a password")); p.Detail != "the log of the service tells what" {
		t.Errorf("an unknown error shows its text: %q", p.Detail)
	}
	e := &engine.StateError{Projection: "balances", State: worker.Halted}
	if p := asProblem(e); p.Projection != "balances" || p.State != "halted" {
		t.Errorf("%+v", p)
	}
	if p := asProblem(&store.InvalidError{Field: "Limit", Reason: "is odd"}); p.Field != "Limit" || p.Detail != "Limit is odd" {
		t.Errorf("%+v", p)
	}
}

func TestMaskingKeepsTheShapeAlone(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"b":1,"a":{"x":"y","n":null,"t":true}}`: `{"b":"number","a":{"x":"string","n":null,"t":"bool"}}`,
		`[1,2,"x",{"a":1},{"a":2}]`:               `["number","string",{"a":"number"}]`,
		`[]`:                                      `[]`,
		`"secret"`:                                `"string"`,
		`{"<b>":1}`:                               `{"\u003cb\u003e":"number"}`,
		`123456789012345678901234567890`:          `"number"`,
	} {
		if got := string(masked([]byte(data))); got != want {
			t.Errorf("%s: %s, want %s", data, got, want)
		}
	}
}

func TestOnlyJSONIsMasked(t *testing.T) {
	t.Parallel()
	h := &Handler{}
	for _, c := range []struct {
		contentType, data, shown string
	}{
		{"", `{"a":1}`, "masked"}, {"application/json", `{"a":1}`, "masked"}, {"application/vnd.x+json; charset=utf-8", `1`, "masked"},
		{"application/json", `{"a":`, "hidden"}, {"application/protobuf", "\x01", "hidden"}, {"text/plain", "secret", "hidden"},
	} {
		v := h.payload(c.contentType, []byte(c.data), nil)
		if v.Shown != c.shown || v.Size != len(c.data) || c.shown == "hidden" && v.Data != nil {
			t.Errorf("%s %q: %+v", c.contentType, c.data, v)
		}
	}
	h.options.Payloads = Full
	if v := h.payload("application/protobuf", []byte("\x01"), nil); v.Shown != "base64" || string(v.Data) != `"AQ=="` {
		t.Errorf("%+v", v)
	}
}

func TestLongTextsAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"short": "short", "éééé": "éé…", "aéééé": "aé…", "abcdefg": "abcd…"} {
		most := 5
		if text == "abcdefg" || text == "aéééé" {
			most = 4
		}
		if got := cut(text, most); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestPointsAreRead(t *testing.T) {
	t.Parallel()
	s := event.Aggregate("a").Stream("s")
	for text, good := range map[string]bool{
		"head": true, "1": true, "0": true, "2026-01-31T08:00:00Z": true, "2026-01-31T08:00:00.123+02:00": true, "version:1": true,
		"": false, "Head": false, "-1": false, "01": false, "2026-01-31": false, "version:0": false, "version:-1": false, "version:x": false, "1.5": false,
	} {
		if _, err := parsePoint("at", text, &s); (err == nil) != good || err != nil && !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
