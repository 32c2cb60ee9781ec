// Package adminclient calls the admin API of a distributor. A Client owns its connections and its
// token, and may be used concurrently; the documents are types of package adminapi.
package adminclient

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxResponseBytes bounds a response that is not a stream.
const maxResponseBytes = 64 << 20

// mergePatch is the content type of a change of an object's members.
const mergePatch = "application/merge-patch+json"

// Client calls an admin API. It may be used concurrently.
type Client struct {
	base    *url.URL
	name    string // for messages
	timeout time.Duration
	http    *http.Client
	token   *token
}

// New returns a client. It makes no connection.
func New(c Config) (*Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	base, socket, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	secret, err := newToken(c)
	if err != nil {
		return nil, err
	}
	// No proxy: the token is for this server alone.
	transport := &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true}
	if transport.TLSClientConfig, err = c.tlsConfig(); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: c.Timeout}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if socket != "" {
			network, address = "unix", socket
		}
		return dialer.DialContext(ctx, network, address)
	}
	return &Client{
		base: base, name: c.URL, timeout: c.Timeout, token: secret,
		http: &http.Client{Transport: transport, CheckRedirect: noRedirect},
	}, nil
}

// noRedirect keeps the token from another server.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Name returns the configured URL.
func (c *Client) Name() string { return c.name }

// Request is a request of the API.
type Request struct {
	Method, Path string
	Query        url.Values
	// Body is encoded as JSON; nil means none.
	Body any
	// IfMatch is the revision that the change is for; 0 means any.
	IfMatch int64
	// Accept is the media type of the response; empty means JSON.
	Accept string
	// Wait is how long the server may take beyond the client's timeout.
	Wait time.Duration
}

// Response is the response to a request that was not refused.
type Response struct {
	Status int
	Body   []byte
}

// Do makes a request. It returns an *Error for a refusal and an *UnreachableError if there
// is no response.
func (c *Client) Do(ctx context.Context, r Request) (Response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout+r.Wait, fmt.Errorf("timeout after %v", c.timeout+r.Wait))
	defer cancel()
	response, err := c.open(ctx, r, nil)
	if err != nil {
		return Response{}, err
	}
	body, err := readBody(response)
	if err != nil {
		return Response{}, c.unreachable(ctx, err)
	}
	return Response{Status: response.StatusCode, Body: body}, nil
}

// Get reads an object.
func (c *Client) Get(ctx context.Context, path string, query url.Values, into any) error {
	response, err := c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: query})
	if err != nil {
		return err
	}
	return response.Decode(into)
}

// Decode decodes the body. Unknown members are ignored, since the server may be newer.
func (a Response) Decode(into any) error {
	if err := json.Unmarshal(a.Body, into); err != nil {
		return fmt.Errorf("the answer is not that of an admin API: %w", err)
	}
	return nil
}

// open makes a request and returns the response, whose body the caller closes. A refused
// token is read again once.
func (c *Client) open(ctx context.Context, r Request, header http.Header) (*http.Response, error) {
	for retried := false; ; retried = true {
		secret := c.token.get()
		request, err := c.request(ctx, r, secret)
		if err != nil {
			return nil, err
		}
		for key, values := range header {
			request.Header[key] = values
		}
		response, err := c.http.Do(request)
		if err != nil {
			return nil, c.unreachable(ctx, err)
		}
		if response.StatusCode >= 200 && response.StatusCode <= 299 {
			return response, nil
		}
		body, err := readBody(response)
		if err != nil {
			return nil, c.unreachable(ctx, err)
		}
		if retried || response.StatusCode != http.StatusUnauthorized || !c.token.renew(secret) {
			return nil, newError(response.StatusCode, body, secret == "")
		}
	}
}

func (c *Client) request(ctx context.Context, r Request, secret string) (*http.Request, error) {
	body, err := encode(r.Body)
	if err != nil {
		return nil, err
	}
	target := *c.base
	target.RawPath, target.RawQuery = r.Path, r.Query.Encode()
	if target.Path, err = url.PathUnescape(r.Path); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodGet { // also without a body: the server demands it
		request.Header.Set("Content-Type", contentType(r.Method))
	}
	if secret != "" {
		request.Header.Set("Authorization", "Bearer "+secret)
	}
	if r.IfMatch > 0 {
		request.Header.Set("If-Match", strconv.Quote(strconv.FormatInt(r.IfMatch, 10)))
	}
	request.Header.Set("Accept", cmp.Or(r.Accept, "application/json"))
	return request, nil
}

func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return json.Marshal(body)
}

func contentType(method string) string {
	if method == http.MethodPatch {
		return mergePatch
	}
	return "application/json"
}

func readBody(response *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponseBytes+1))
	err = errors.Join(err, response.Body.Close())
	if err == nil && len(body) > maxResponseBytes {
		err = fmt.Errorf("an answer of more than %d bytes", maxResponseBytes)
	}
	return body, err
}

// unreachable wraps the failure of a request, without its URL, which is the caller's.
func (c *Client) unreachable(ctx context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return &UnreachableError{URL: c.name, Err: err}
}

// Path joins segments to a path of the API, escaped.
func Path(segments ...string) string {
	var path strings.Builder
	path.WriteString("/v1")
	for _, s := range segments {
		path.WriteString("/" + url.PathEscape(s))
	}
	return path.String()
}
