package emitter

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/logstreamer/logstreamer/internal/http1"
)

const (
	dialTimeout = 3 * time.Second
	// maxResponseBytes bounds a response body in bytes.
	maxResponseBytes = 1 << 20
)

// connection is one worker's connection to a target. It is dialled on demand and reused
// while the target keeps it open and packets go to it. Not for concurrent use.
type connection struct {
	target  *target
	timeout time.Duration
	// emitterID is the value of the request's header.
	emitterID string
	conn      net.Conn
	// stopCloseOnDone cancels the closing of conn at the end of the context.
	stopCloseOnDone func() bool
	reader          *bufio.Reader
	writer          *bufio.Writer
	request         fasthttp.Request
	response        fasthttp.Response
}

func newConnection(token string, timeout time.Duration) *connection {
	c := &connection{timeout: timeout, reader: bufio.NewReaderSize(nil, 16<<10), writer: bufio.NewWriterSize(nil, 16<<10)}
	c.request.Header.SetMethod(fasthttp.MethodPost)
	c.request.Header.SetContentType("application/json")
	c.request.Header.SetUserAgent("logstreamer-emitter")
	if token != "" {
		c.request.Header.Set(fasthttp.HeaderAuthorization, "Bearer "+token)
	}
	return c
}

// errConnect means that the connection failed, so the target has not seen the
// packet.
var errConnect = errors.New("connecting failed")

// use selects the target and the emitter of the next packet.
func (c *connection) use(t *target, emitterID string) {
	if t != c.target {
		c.close()
		c.target = t
		c.request.SetRequestURI(t.url)
	}
	if emitterID != c.emitterID {
		c.emitterID = emitterID
		c.request.Header.Del(emitterIDHeader)
		if isHeaderValue(emitterID) {
			c.request.Header.Set(emitterIDHeader, emitterID)
		}
	}
}

const emitterIDHeader = "Emitter-Id"

// isHeaderValue reports whether a header can carry the value unchanged.
func isHeaderValue(text string) bool {
	return text != "" && http1.IsText([]byte(text)) && strings.Trim(text, " \t") == text
}

// post sends a packet and reads the response into c.response. It fails as soon
// as ctx is done.
func (c *connection) post(ctx context.Context, body []byte) error {
	if c.conn == nil {
		if err := c.dial(ctx); err != nil {
			return fmt.Errorf("%w: %w", errConnect, err)
		}
	}
	err := c.exchange(body)
	if err != nil || c.response.ConnectionClose() {
		c.close()
	}
	return err
}

func (c *connection) exchange(body []byte) error {
	if err := c.conn.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	c.request.SetBodyRaw(body)
	c.response.Reset()
	sent := c.request.Write(c.writer)
	if sent == nil {
		sent = c.writer.Flush()
	}
	if sent != nil && isTimeout(sent) {
		return sent
	}
	// A target that rejects a large packet may respond before it has read the
	// body.
	received := c.response.ReadLimitBody(c.reader, maxResponseBytes)
	if received == nil && sent != nil {
		c.response.SetConnectionClose()
	}
	if received != nil && sent != nil {
		return sent
	}
	if errors.Is(received, io.EOF) {
		return errors.New("the target closed the connection without a response")
	}
	return received
}

func (c *connection) dial(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, min(dialTimeout, c.timeout))
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(bounded, "tcp", c.target.address)
	if err != nil {
		return err
	}
	if c.target.tls != nil {
		secure := tls.Client(conn, c.target.tls.TLS(c.target.host))
		if err := secure.HandshakeContext(bounded); err != nil {
			return errors.Join(err, conn.Close())
		}
		conn = secure
	}
	c.conn = conn
	c.stopCloseOnDone = context.AfterFunc(ctx, func() { _ = conn.Close() })
	c.reader.Reset(conn)
	c.writer.Reset(conn)
	return nil
}

// close is idempotent.
func (c *connection) close() {
	if c.conn == nil {
		return
	}
	c.stopCloseOnDone()
	_ = c.conn.Close() // nothing is lost: a packet without a response is retried
	c.conn = nil
}

// isTimeout recognises timeouts of package net and of fasthttp.
func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
