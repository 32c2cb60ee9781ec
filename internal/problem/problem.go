// Package problem writes refused requests as problem documents of RFC 9457
// (application/problem+json), and defines the refusal codes.
//
// A document is valid JSON for any text, control characters and invalid UTF-8
// included.
package problem

import (
	"strconv"

	"github.com/logstreamer/logstreamer/internal/http1"
)

// ContentType is the media type of a problem document.
const ContentType = "application/problem+json"

// Problem is one refusal. The zero value of an optional field omits its member.
// A Problem may be written concurrently.
type Problem struct {
	// Code is the kind of refusal; required.
	Code Code
	// Status is the HTTP status, or 0 for that of Code.
	Status int
	// Detail describes this occurrence; any text.
	Detail string
	// PacketID is the id of the refused packet, if known, without JSON escapes.
	PacketID string
	// RetryAfter is the wait in seconds before a retry, or 0.
	RetryAfter int
}

// Error implements error.
func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// Respond makes it a response with the problem, in the response's memory.
func Respond(to *http1.Response, p Problem) {
	*to = http1.Response{Status: p.HTTPStatus(), ContentType: ContentType, RetryAfter: p.RetryAfter, Body: p.AppendJSON(to.Body[:0])}
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

// HTTPStatus returns the status of the response.
func (p Problem) HTTPStatus() int {
	if p.Status != 0 {
		return p.Status
	}
	return p.Code.Status()
}
