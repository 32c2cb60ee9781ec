package adminclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Error is a refusal by the server: a problem of RFC 9457.
type Error struct {
	Status int    `json:"-"`
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	// Key and Value are the refused setting, Allowed the values that are not refused.
	Key     string `json:"key"`
	Value   any    `json:"value"`
	Allowed string `json:"allowed"`
	// Body is the response.
	Body []byte `json:"-"`

	withoutToken bool
}

// Error returns the detail, the code and what is allowed.
func (e *Error) Error() string {
	var text strings.Builder
	switch {
	case e.Detail != "":
		text.WriteString(e.Detail)
	case e.Title != "":
		text.WriteString(e.Title)
	default:
		fmt.Fprintf(&text, "the server answered %d %s", e.Status, http.StatusText(e.Status))
	}
	if e.Code != "" {
		fmt.Fprintf(&text, " (%s)", e.Code)
	}
	if e.Status == http.StatusUnauthorized && e.withoutToken {
		text.WriteString("; a token is given in the environment's ADMIN_TOKEN or by -token-file")
	}
	return text.String()
}

// Unauthorized reports whether the credentials do not suffice.
func (e *Error) Unauthorized() bool {
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden
}

// Stale reports whether the configuration has a newer revision than the request named.
func (e *Error) Stale() bool { return e.Status == http.StatusPreconditionFailed }

// newError returns the error of a response, which may come from something else than an admin
// API and then has no code.
func newError(status int, body []byte, withoutToken bool) *Error {
	e := &Error{}
	if json.Unmarshal(body, e) != nil {
		*e = Error{}
	}
	e.Status, e.Body, e.withoutToken = status, body, withoutToken
	return e
}

// UnreachableError reports that there was no response. A change may have been made.
type UnreachableError struct {
	URL string
	Err error
}

func (e *UnreachableError) Error() string { return fmt.Sprintf("no answer from %s: %v", e.URL, e.Err) }

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }
