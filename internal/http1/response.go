package http1

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Response is the response to a request. Its memory can be reused.
type Response struct {
	Status      int
	ContentType string
	Allow       string // the methods of a path, for 405; empty is none
	// Authenticate is the scheme of WWW-Authenticate, for 401; empty is none.
	Authenticate string
	RetryAfter   int // seconds; 0 is none
	// Fields are further fields, see AddField.
	Fields []byte
	Body   []byte
	// Unanswered closes the connection without a response, for clients that send a request
	// again after that alone.
	Unanswered bool
	// Sent, unless nil, releases the memory of a body that has another owner. The server calls it
	// when the body has been sent or cannot be sent.
	Sent func()
}

// SetJSON makes it a response with a JSON text, which the Response keeps.
func (r *Response) SetJSON(status int, body []byte) {
	*r = Response{Status: status, ContentType: "application/json", Body: body}
}

// AddField adds a field. Name and value must be valid.
func (r *Response) AddField(name, value string) {
	r.Fields = append(append(r.Fields, "\r\n"...), name...)
	r.Fields = append(append(r.Fields, ": "...), value...)
}

// Framing is the Date of a response and what becomes of its connection.
type Framing struct {
	// Date is the Date field's value, see AppendDate.
	Date []byte
	// Close means that the connection ends with the response; KeepAlive is the response to HTTP/1.0
	// clients that the connection stays open.
	Close, KeepAlive bool
}

// AppendTo appends the response as HTTP/1.1.
func (r *Response) AppendTo(dst []byte, f Framing) []byte {
	return append(r.AppendHead(dst, f), r.Body...)
}

// AppendHead appends the response without its body.
func (r *Response) AppendHead(dst []byte, f Framing) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(r.Status)...)
	dst = append(dst, "\r\nDate: "...)
	dst = append(dst, f.Date...)
	if r.ContentType != "" {
		dst = append(dst, "\r\nContent-Type: "...)
		dst = append(dst, r.ContentType...)
	}
	dst = append(dst, r.Fields...)
	if r.Allow != "" {
		dst = append(dst, "\r\nAllow: "...)
		dst = append(dst, r.Allow...)
	}
	if r.Authenticate != "" {
		dst = append(dst, "\r\nWWW-Authenticate: "...)
		dst = append(dst, r.Authenticate...)
	}
	if r.RetryAfter > 0 {
		dst = append(dst, "\r\nRetry-After: "...)
		dst = strconv.AppendInt(dst, int64(r.RetryAfter), 10)
	}
	switch {
	case f.Close:
		dst = append(dst, "\r\nConnection: close"...)
	case f.KeepAlive:
		dst = append(dst, "\r\nConnection: keep-alive"...)
	}
	if r.Status == http.StatusNoContent { // which has no body (RFC 9110 section 8.6)
		return append(dst, "\r\n\r\n"...)
	}
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(r.Body)), 10)
	return append(dst, "\r\n\r\n"...)
}

// AppendDate appends a Date field's value (RFC 9110 section 5.6.7).
func AppendDate(dst []byte, now time.Time) []byte {
	return now.UTC().AppendFormat(dst, http.TimeFormat)
}

// ResponsePool reuses the memory of responses. The zero value is ready; it may be
// used concurrently.
type ResponsePool struct{ pool sync.Pool }

// MaxPooledBytes bounds the memory that is kept of one response.
const MaxPooledBytes = 16 << 10

// Get returns a response to fill.
func (p *ResponsePool) Get() *Response {
	if r, ok := p.pool.Get().(*Response); ok {
		return r
	}
	return new(Response)
}

// Put returns a response to the pool; its body must not be used afterwards. One with Sent is not reused: its
// body is not its own.
func (p *ResponsePool) Put(r *Response) {
	if r.Sent == nil && cap(r.Body) <= MaxPooledBytes {
		*r = Response{Body: r.Body[:0]}
		p.pool.Put(r)
	}
}
