package problem

import "net/http"

// Code names a kind of refusal. It is the last part of a problem's type, its
// member "code" and the label "reason" of the metrics.
type Code string

// The codes.
const (
	Malformed            Code = "malformed"
	InvalidPacket        Code = "invalid_packet"
	NotFound             Code = "not_found"
	MethodNotAllowed     Code = "method_not_allowed"
	SlowRequest          Code = "slow_request"
	TooLarge             Code = "too_large"
	UnsupportedMediaType Code = "unsupported_media_type"
	UnsupportedEncoding  Code = "unsupported_encoding"
	RateLimited          Code = "rate_limited"
	NoAnalyzer           Code = "no_analyzer"
	Overloaded           Code = "overloaded"
	Draining             Code = "draining"
	JournalUnwritable    Code = "journal_unwritable"
	Shed                 Code = "shed"
	// AckTimeout is not a refusal: the packet is accepted, but not delivered
	// yet.
	AckTimeout Code = "ack_timeout"
	// DeadLettered is no refusal either: an analyzer will never take the
	// packet, which is kept for a person to look at.
	DeadLettered Code = "dead_lettered"
)

type meaning struct {
	status int
	title  string
}

var meanings = map[Code]meaning{
	Malformed:            {http.StatusBadRequest, "The request is malformed"},
	InvalidPacket:        {http.StatusBadRequest, "The packet breaks a rule"},
	NotFound:             {http.StatusNotFound, "There is nothing at this path"},
	MethodNotAllowed:     {http.StatusMethodNotAllowed, "The path does not take this method"},
	SlowRequest:          {http.StatusRequestTimeout, "The request was not here in time"},
	TooLarge:             {http.StatusRequestEntityTooLarge, "The request is too large"},
	UnsupportedMediaType: {http.StatusUnsupportedMediaType, "The media type is not supported"},
	UnsupportedEncoding:  {http.StatusUnsupportedMediaType, "The content encoding is not supported"},
	RateLimited:          {http.StatusTooManyRequests, "The emitter is over its rate"},
	NoAnalyzer:           {http.StatusServiceUnavailable, "No analyzer is available"},
	Overloaded:           {http.StatusServiceUnavailable, "There is no room now"},
	Draining:             {http.StatusServiceUnavailable, "The service is shutting down"},
	JournalUnwritable:    {http.StatusServiceUnavailable, "The journal cannot be written"},
	Shed:                 {http.StatusServiceUnavailable, "Packets of this level are shed now"},
	AckTimeout:           {http.StatusGatewayTimeout, "The packet is accepted but not delivered yet"},
	DeadLettered:         {http.StatusUnprocessableEntity, "The packet is accepted but no analyzer will take it"},
}

// Refusals returns the codes that a distributor refuses requests with.
func Refusals() []Code {
	return []Code{
		Malformed, InvalidPacket, NotFound, MethodNotAllowed, SlowRequest, TooLarge,
		UnsupportedEncoding, RateLimited, NoAnalyzer, Overloaded,
		Draining, JournalUnwritable, Shed,
	}
}

// Status returns the HTTP status of the code; 500 for one that is not in the
// table.
func (c Code) Status() int {
	if m, ok := meanings[c]; ok {
		return m.status
	}
	return http.StatusInternalServerError
}

// Title returns the one sentence that is the same for every problem of the
// code.
func (c Code) Title() string {
	if m, ok := meanings[c]; ok {
		return m.title
	}
	return http.StatusText(http.StatusInternalServerError)
}
