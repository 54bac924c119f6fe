package api

import (
	"bytes"
	"io"
	"net/http"
)

// Within returns a client that calls a handler of this process, without a connection. It
// has no streams.
func Within(h http.Handler) *Client {
	return &Client{base: "http://localhost", header: http.Header{}, http: &http.Client{Transport: within{h}}, Local: true}
}

// within is a transport that calls a handler.
type within struct{ handler http.Handler }

func (w within) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.RequestURI = req.URL.RequestURI()
	req.RemoteAddr = "this process"
	req.Host = "localhost"
	if req.Body == nil {
		req.Body = http.NoBody
	}
	a := &answer{header: http.Header{}, status: http.StatusOK}
	w.handler.ServeHTTP(a, req)
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()), Request: req,
	}, nil
}

// answer keeps what a handler writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
