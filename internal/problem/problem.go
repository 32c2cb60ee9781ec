// Package problem tells a client why a request was refused, as a problem
// document of RFC 9457 (application/problem+json). It holds the one table of
// refusal codes that clients, metrics and documentation share.
//
// Whatever text a problem is given (control characters, invalid UTF-8), the
// document is valid JSON.
package problem

import (
	"strconv"

	"github.com/valyala/fasthttp"
)

// ContentType is the media type of a problem document.
const ContentType = "application/problem+json"

// Problem is one refusal. The zero value of each optional field leaves its
// member out. A Problem may be written concurrently.
type Problem struct {
	// Code says what kind of refusal it is; required.
	Code Code
	// Status is the HTTP status when it is not the code's own, else 0.
	Status int
	// Detail says what was wrong this time and where; any text.
	Detail string
	// PacketID is the refused packet's id where it is known, as decoded text
	// (not JSON source).
	PacketID string
	// RetryAfter is in how many seconds a new attempt makes sense, or 0.
	RetryAfter int
}

// Error makes a refusal an error for those who wait for the same thing.
func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// Write answers the request with the problem. Headers that were set before,
// such as Allow, stay.
func Write(ctx *fasthttp.RequestCtx, p Problem) {
	var scratch [512]byte
	ctx.Response.SetBody(p.AppendJSON(scratch[:0]))
	ctx.Response.SetStatusCode(p.HTTPStatus())
	ctx.Response.Header.SetContentType(ContentType)
	if p.RetryAfter > 0 {
		ctx.Response.Header.SetBytesV(fasthttp.HeaderRetryAfter, strconv.AppendInt(scratch[:0], int64(p.RetryAfter), 10))
	}
}

// AppendJSON appends the problem document to dst.
func (p Problem) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"type":"urn:logstreamer:problem:`...)
	dst = appendEscapedText(dst, string(p.Code))
	dst = append(dst, `","title":`...)
	dst = AppendQuoted(dst, p.Code.Title())
	dst = append(dst, `,"status":`...)
	dst = strconv.AppendInt(dst, int64(p.HTTPStatus()), 10)
	if p.Detail != "" {
		dst = append(dst, `,"detail":`...)
		dst = AppendQuoted(dst, p.Detail)
	}
	dst = append(dst, `,"code":`...)
	dst = AppendQuoted(dst, string(p.Code))
	if p.PacketID != "" {
		dst = append(dst, `,"packet_id":`...)
		dst = AppendQuoted(dst, p.PacketID)
	}
	return append(dst, '}')
}

// HTTPStatus is the status of an answer with the problem.
func (p Problem) HTTPStatus() int {
	if p.Status != 0 {
		return p.Status
	}
	return p.Code.Status()
}
