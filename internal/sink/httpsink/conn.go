package httpsink

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/transport"
)

const (
	// maxResponseBytes bounds a response, such as one with a result for each message.
	maxResponseBytes = 4 << 20
	// maxKeptBytes bounds the buffers that a sender keeps between requests.
	maxKeptBytes = 4 << 20
)

// errTooLong is the error of a response over maxResponseBytes.
var errTooLong = fmt.Errorf("the response is longer than %d bytes", maxResponseBytes)

// conn implements sink.Conn. Its transport keeps one connection.
type conn struct {
	sink       *Sink
	transport  *http.Transport
	codec      Codec
	request    Request
	response   bytes.Buffer
	compressor *gzip.Writer
	compressed bytes.Buffer
}

// Close implements sink.Conn.
func (c *conn) Close() { c.transport.CloseIdleConnections() }

// Send implements sink.Conn. A failed request has to be repeated as it was, for backends
// that recognise a repetition.
func (c *conn) Send(ctx context.Context, packets []*packet.Packet, deadline time.Time) sink.Result {
	c.request.Body, c.request.Query = c.request.Body[:0], c.request.Query[:0]
	if !c.sink.backend.Origins {
		packet.CompleteAll(packets)
	}
	c.codec.Encode(&c.request, packets)
	text := c.compress()
	req := c.newRequest(http.MethodPost, c.path())
	req.Header.Set("Content-Type", c.sink.backend.ContentType)
	if c.sink.backend.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	if trace := packets[0].Traceparent; trace != "" {
		req.Header.Set("Traceparent", trace)
	}
	resp, err := c.exchange(ctx, req, text, deadline)
	c.release()
	var result sink.Result
	if err != nil {
		result = transport.ResultOf(err, isUnreadable(err))
	} else {
		result = c.codec.Result(resp, packets)
	}
	result.Repeat = result.Outcome == sink.Failed && !result.Unsent
	return result
}

// path returns the path and query of a request.
func (c *conn) path() string {
	path := c.sink.backend.Path
	switch {
	case len(c.request.Query) == 0:
		return path
	case strings.Contains(path, "?"):
		return path + "&" + string(c.request.Query)
	default:
		return path + "?" + string(c.request.Query)
	}
}

// compress returns the body as it is sent.
func (c *conn) compress() []byte {
	if !c.sink.backend.gzip {
		return c.request.Body
	}
	c.compressed.Reset()
	if c.compressor == nil {
		c.compressor, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for unknown levels only
	}
	c.compressor.Reset(&c.compressed)
	_, _ = c.compressor.Write(c.request.Body) // a bytes.Buffer never fails
	_ = c.compressor.Close()
	return c.compressed.Bytes()
}

// release lets go of buffers that an unusual request has grown.
func (c *conn) release() {
	if cap(c.request.Body) > maxKeptBytes {
		c.request.Body = nil
	}
	if c.compressed.Cap() > maxKeptBytes {
		c.compressed = bytes.Buffer{}
	}
}

// newRequest returns a request with the fields that all have.
func (c *conn) newRequest(method, path string) *http.Request {
	s := c.sink
	path, query, _ := strings.Cut(path, "?")
	target := &url.URL{
		Scheme: s.base.Scheme, Host: s.base.Host, RawQuery: query,
		Path: strings.TrimSuffix(s.base.Path, "/") + path, RawPath: strings.TrimSuffix(s.base.EscapedPath(), "/") + path,
	}
	req := &http.Request{
		Method: method, URL: target, Host: s.base.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: s.backend.Header.Clone(),
	}
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	req.Header.Set("User-Agent", "logstreamer")
	if s.deps.Authorization != nil {
		req.Header.Set("Authorization", s.deps.Authorization())
	}
	return req
}

// exchange sends a request with a body, or nil, and reads the response, which is valid until
// the next call. When it returns, nothing reads the body any more.
func (c *conn) exchange(ctx context.Context, req *http.Request, text []byte, deadline time.Time) (*Response, error) {
	if ctx.Err() != nil {
		return nil, transport.ErrInterrupted
	}
	within, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if len(text) > 0 {
		sent := &sentBody{text: text}
		defer sent.end()
		req.ContentLength, req.Body = int64(len(text)), sent.reader()
		req.GetBody = func() (io.ReadCloser, error) { return sent.reader(), nil }
	}
	resp, err := c.roundTrip(req.WithContext(within))
	if err != nil && ctx.Err() != nil {
		err = transport.ErrInterrupted
	}
	return resp, err
}

func (c *conn) roundTrip(req *http.Request) (*Response, error) {
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	c.response.Reset()
	if c.response.Cap() > maxKeptBytes {
		c.response = bytes.Buffer{}
	}
	if n, err := c.response.ReadFrom(io.LimitReader(resp.Body, maxResponseBytes+1)); err != nil {
		return nil, err
	} else if n > maxResponseBytes {
		return nil, errTooLong
	}
	return &Response{resp.StatusCode, resp.Header, c.response.Bytes()}, nil
}
