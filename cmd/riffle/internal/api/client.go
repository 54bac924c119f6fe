package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// requestFor bounds one request that is not a stream. The service gives an action half a
// minute.
const requestFor = 40 * time.Second

// maxAnswer bounds what is read of one answer.
const maxAnswer = 64 << 20

// Client asks one admin API. It is safe for concurrent use.
type Client struct {
	base   string // ends without a slash
	header http.Header
	http   *http.Client
	Local  bool // it goes straight into a handler of this process
}

// New returns a client of the API below an address, with headers of the form "Name: value",
// and the token that a file holds, if it is named.
func New(address string, headers []string, tokenFile string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("--url is no address of an admin page, such as http://localhost:8080/admin")
	}
	c := &Client{header: http.Header{}}
	if u.User != nil { // out of the address, which is shown
		password, _ := u.User.Password()
		c.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
		u.User = nil
	}
	c.base = strings.TrimRight(u.String(), "/")
	for _, h := range headers {
		name, value, found := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !found || name == "" || strings.ContainsAny(name, " \t\r\n") {
			return nil, fmt.Errorf(`--header %q is no header; write it as "Name: value"`, h)
		}
		c.header.Add(name, strings.TrimSpace(value))
	}
	if tokenFile != "" {
		token, err := ReadToken(tokenFile)
		if err != nil {
			return nil, err
		}
		c.header.Set("Authorization", "Bearer "+token)
	}
	c.http = &http.Client{
		// A redirect would repeat the credentials elsewhere, or turn an action into a read.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// ReadToken reads a token from a file, without white space around it.
func ReadToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < 16 || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("--token-file %s: a token is one word of at least 16 characters; make one with: openssl rand -hex 32", file)
	}
	return token, nil
}

// URL is the address of the API, for people.
func (c *Client) URL() string { return c.base }

// Get reads into a value.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.do(ctx, http.MethodGet, path, nil, into)
}

// Act does something with a subscription.
func (c *Client) Act(ctx context.Context, name, verb string, a Action) (Done, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return Done{}, err
	}
	var done Done
	return done, c.do(ctx, http.MethodPost, "subscriptions/"+url.PathEscape(name)+"/"+verb, body, &done)
}

// Overview reads the overview.
func (c *Client) Overview(ctx context.Context) (o Overview, err error) {
	return o, c.Get(ctx, "overview", nil, &o)
}

// Subscriptions reads all subscriptions.
func (c *Client) Subscriptions(ctx context.Context) ([]Subscription, error) {
	var p Page[Subscription]
	return p.Items, c.Get(ctx, "subscriptions", nil, &p)
}

// Subscription reads one.
func (c *Client) Subscription(ctx context.Context, name string) (s Subscription, err error) {
	return s, c.Get(ctx, "subscriptions/"+url.PathEscape(name), nil, &s)
}

// largest is the largest page that the API gives.
const largest = 200

// List yields the items of a list, page after page, at most limit of them; 0 is all.
func List[T any](ctx context.Context, c *Client, path string, query url.Values, limit int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for left := limit; ; {
			size := largest
			if limit > 0 {
				size = min(size, left)
			}
			query.Set("limit", fmt.Sprint(size))
			var page Page[T]
			if err := c.Get(ctx, path, query, &page); err != nil {
				yield(zero, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			left -= len(page.Items)
			if page.Next == "" || limit > 0 && left <= 0 {
				return
			}
			query.Set("after", page.Next)
		}
	}
}

func (c *Client) request(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, c.header)
	if host := c.header.Get("Host"); host != "" {
		req.Host = host
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return resp, nil
}

func (c *Client) do(ctx context.Context, method, path string, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, requestFor)
	defer cancel()
	resp, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if err := c.check(resp, answer); err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s answers with something else than Riffle's admin API does: %w", c.base, err)
	}
	return nil
}

// check tells answers of the API from those of others.
func (c *Client) check(resp *http.Response, body []byte) error {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case kind == "application/problem+json":
		p := &Problem{}
		if err := json.Unmarshal(body, p); err != nil {
			return fmt.Errorf("%s answers %s, with a problem that cannot be read: %w", c.base, resp.Status, err)
		}
		return p
	case resp.StatusCode == http.StatusUnauthorized && c.header.Get("Authorization") != "":
		return fmt.Errorf("%s does not accept these credentials: look at --token-file, --header, or the user and password in --url", c.base)
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf(`%s wants to know who asks: use --token-file, --header "Authorization: …", or --url with user:password@ before the host`, c.base)
	case resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s does not let this request through (%s): %s", c.base, resp.Status, firstLine(body))
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		return fmt.Errorf("%s sends elsewhere, to %s; name that address in --url if you trust it", c.base, resp.Header.Get("Location"))
	case resp.StatusCode >= 300:
		return fmt.Errorf("%s answers %s: %s; --url is the address under which the service has mounted the admin page, such as http://localhost:8080/admin", c.base, resp.Status, firstLine(body))
	case kind != "application/json" && kind != "text/event-stream":
		return fmt.Errorf("%s answers, but not as Riffle's admin API does; --url is the address under which the service has mounted the admin page, such as http://localhost:8080/admin", c.base)
	}
	return nil
}
