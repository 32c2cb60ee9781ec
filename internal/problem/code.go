package problem

import "net/http"

// Code is a kind of refusal: the last part of a problem's type, its member
// "code" and the label "reason" of the metrics.
type Code string

// Refusal codes.
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
	Paused               Code = "paused"
	Unauthorized         Code = "unauthorized"
	EmitterNotAllowed    Code = "emitter_not_allowed"
	TooManyFailures      Code = "too_many_failures"
	// AckTimeout is not a refusal: the packet is accepted and not delivered yet.
	AckTimeout Code = "ack_timeout"
	// DeadLettered is not a refusal: the packet is accepted, and was stored as a
	// dead letter because an analyzer rejected it.
	DeadLettered Code = "dead_lettered"
)

type definition struct {
	status int
	title  string
}

var definitions = map[Code]definition{
	Malformed:            {http.StatusBadRequest, "The request is malformed"},
	InvalidPacket:        {http.StatusBadRequest, "The packet breaks a rule"},
	NotFound:             {http.StatusNotFound, "The path does not exist"},
	MethodNotAllowed:     {http.StatusMethodNotAllowed, "The path does not allow this method"},
	SlowRequest:          {http.StatusRequestTimeout, "The request did not arrive in time"},
	TooLarge:             {http.StatusRequestEntityTooLarge, "The request is too large"},
	UnsupportedMediaType: {http.StatusUnsupportedMediaType, "The media type is not supported"},
	UnsupportedEncoding:  {http.StatusUnsupportedMediaType, "The content encoding is not supported"},
	RateLimited:          {http.StatusTooManyRequests, "The emitter is over its rate"},
	NoAnalyzer:           {http.StatusServiceUnavailable, "No analyzer is available"},
	Overloaded:           {http.StatusServiceUnavailable, "No capacity is available now"},
	Draining:             {http.StatusServiceUnavailable, "The service is shutting down"},
	JournalUnwritable:    {http.StatusServiceUnavailable, "The journal cannot be written"},
	Shed:                 {http.StatusServiceUnavailable, "Packets of this level are shed now"},
	Paused:               {http.StatusServiceUnavailable, "The intake is paused"},
	Unauthorized:         {http.StatusUnauthorized, "A valid token or client certificate is needed"},
	EmitterNotAllowed:    {http.StatusForbidden, "The emitter_id is not allowed with this token"},
	TooManyFailures:      {http.StatusTooManyRequests, "Too many tokens were wrong"},
	AckTimeout:           {http.StatusGatewayTimeout, "The packet is accepted but not delivered yet"},
	DeadLettered:         {http.StatusUnprocessableEntity, "The packet is accepted but was rejected by an analyzer"},
}

// Refusals returns the codes with which a distributor refuses requests.
func Refusals() []Code {
	return []Code{
		Malformed, InvalidPacket, NotFound, MethodNotAllowed, SlowRequest, TooLarge,
		UnsupportedEncoding, RateLimited, NoAnalyzer, Overloaded,
		Draining, JournalUnwritable, Shed, Paused, Unauthorized, EmitterNotAllowed, TooManyFailures,
	}
}

// Status returns the HTTP status of the code; 500 for an unknown code.
func (c Code) Status() int {
	if d, ok := definitions[c]; ok {
		return d.status
	}
	return http.StatusInternalServerError
}

// Title returns the title that all problems with the code share.
func (c Code) Title() string {
	if d, ok := definitions[c]; ok {
		return d.title
	}
	return http.StatusText(http.StatusInternalServerError)
}
