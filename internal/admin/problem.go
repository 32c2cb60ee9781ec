package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/printable"
)

// code is a kind of refusal: the last part of a problem's type, and its member "code".
type code string

const (
	malformed            code = "malformed"
	unauthorized         code = "unauthorized"
	forbidden            code = "forbidden"
	hostNotAllowed       code = "host_not_allowed"
	crossOrigin          code = "cross_origin"
	notFound             code = "not_found"
	methodNotAllowed     code = "method_not_allowed"
	conflict             code = "conflict"
	lastAnalyzer         code = "last_analyzer"
	restartRequired      code = "restart_required"
	staleRevision        code = "stale_revision"
	tooLarge             code = "too_large"
	unsupportedMediaType code = "unsupported_media_type"
	invalidSetting       code = "invalid_setting"
	preconditionRequired code = "precondition_required"
	tooManyFailures      code = "too_many_failures"
	tooManyStreams       code = "too_many_streams"
	unavailable          code = "unavailable"
	noAnalyzer           code = "no_analyzer"
	internal             code = "internal"
)

// definitions are the HTTP status and the title of each code.
var definitions = map[code]struct {
	status int
	title  string
}{
	malformed:            {http.StatusBadRequest, "The request is malformed"},
	unauthorized:         {http.StatusUnauthorized, "A valid credential is required"},
	forbidden:            {http.StatusForbidden, "The role does not allow this"},
	hostNotAllowed:       {http.StatusForbidden, "The host name is not allowed"},
	crossOrigin:          {http.StatusForbidden, "Requests from other sites are not allowed"},
	notFound:             {http.StatusNotFound, "There is no such resource"},
	methodNotAllowed:     {http.StatusMethodNotAllowed, "The path does not allow this method"},
	conflict:             {http.StatusConflict, "The change conflicts with the present state"},
	lastAnalyzer:         {http.StatusConflict, "It is the last ready analyzer"},
	restartRequired:      {http.StatusConflict, "The change requires a restart"},
	staleRevision:        {http.StatusPreconditionFailed, "The configuration has changed"},
	tooLarge:             {http.StatusRequestEntityTooLarge, "The request is too large"},
	unsupportedMediaType: {http.StatusUnsupportedMediaType, "The media type is not supported"},
	invalidSetting:       {http.StatusUnprocessableEntity, "A value is not allowed"},
	preconditionRequired: {http.StatusPreconditionRequired, "If-Match is required"},
	tooManyFailures:      {http.StatusTooManyRequests, "Too many wrong credentials"},
	tooManyStreams:       {http.StatusTooManyRequests, "Too many streams are open"},
	unavailable:          {http.StatusServiceUnavailable, "The change cannot be made now"},
	internal:             {http.StatusInternalServerError, "The request failed unexpectedly"},
}

// problemType is the beginning of the type of each problem.
const problemType = "urn:logstreamer:problem:"

// refusal is a request that was not served. It is an error, and marshals to a problem document
// of RFC 9457.
type refusal struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Code     code   `json:"code"`
	Key      string `json:"key,omitempty"`
	Value    any    `json:"value,omitempty"`
	Allowed  string `json:"allowed,omitempty"`
	Revision int64  `json:"revision,omitempty"`

	allow      string // the Allow field
	retryAfter int    // seconds
}

func (r *refusal) Error() string { return string(r.Code) + ": " + r.Detail }

// refuse returns a refusal.
func refuse(c code, format string, args ...any) *refusal {
	definition := definitions[c]
	return &refusal{
		Type: problemType + string(c), Title: definition.title, Status: definition.status, Code: c,
		Detail: fmt.Sprintf(format, args...),
	}
}

// refuseValue returns a refusal that names a key, its value and what is allowed.
func refuseValue(key string, value any, allowed string) *refusal {
	r := refuse(malformed, "%s is %v: it must be %s", key, shown(value), allowed)
	r.Key, r.Value, r.Allowed = key, value, allowed
	return r
}

// shown returns a value as text for an error message.
func shown(value any) string {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // of JSON
	return printable.Shorten(strings.TrimSpace(buffer.String()), 100)
}

// refusalOf returns the refusal for an error. For an error of no known kind, the refusal says that
// something that the request needs does not work now.
func refusalOf(err error) *refusal {
	var own *refusal
	if errors.As(err, &own) {
		return own
	}
	var other *control.Error
	if !errors.As(err, &other) {
		return refuse(unavailable, "%v", err)
	}
	c := code(other.Code)
	switch other.Code {
	case control.Stopping, control.Internal: // such as a full disk; nothing was changed
		c = unavailable
	}
	r := refuse(c, "%s", other.Detail)
	r.Key, r.Allowed, r.Revision = other.Key, other.Allowed, other.Revision
	if len(other.Value) > 0 {
		r.Value = other.Value
	}
	return r
}
