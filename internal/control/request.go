package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/config"
)

// Actor is the principal that makes a change.
type Actor struct{ Name, Role, Address string }

// system is the actor of changes without a request, such as an expiry.
var system = Actor{Name: "distributor"}

// Request has the fields that all changes have.
type Request struct {
	Actor Actor
	// IfMatch is the revision that the change is meant for; 0 is any, and NoRevision one that there
	// never is.
	IfMatch int64
	// DryRun returns the result without making the change.
	DryRun bool
	// TTL is the time after which the change reverts itself; 0 is never.
	TTL    time.Duration
	Reason string
	// Force permits a change after which no analyzer is ready.
	Force bool

	drainDeadline time.Time // deadline of drains that the change starts; zero is the default
}

// NoRevision is less than the number of any revision.
const NoRevision int64 = -1

// Result is the response to a change.
type Result struct {
	Revision  int64
	DryRun    bool
	Changed   []Changed
	Projected []Projection
	// BoundMessages is the maximum deviation of an analyzer from its share after the change, with
	// packets as large as now.
	BoundMessages float64
	Warnings      []string
	// Shadowed lists the settings of the file that have no effect; nil except of a reload.
	Shadowed []string
	// Operation is the id of the drain that was started.
	Operation string
}

// Code is the kind of an Error.
type Code string

// The codes of errors.
const (
	InvalidSetting  Code = "invalid_setting"
	NotFound        Code = "not_found"
	Conflict        Code = "conflict"
	LastAnalyzer    Code = "last_analyzer"
	RestartRequired Code = "restart_required"
	StaleRevision   Code = "stale_revision"
	Stopping        Code = "draining"
	Internal        Code = "internal"
)

// Error is the reason of a refusal; a refused change has changed nothing.
type Error struct {
	Code Code
	// Key and Value are the refused setting and its value, and Allowed is what is allowed, if one
	// setting is refused.
	Key     string
	Value   json.RawMessage
	Allowed string
	Detail  string
	// Revision is the current revision.
	Revision int64
}

func (e *Error) Error() string { return e.Detail }

// refuseInvalid returns the Error for an invalid configuration, with the first value that is not
// allowed.
func refuseInvalid(err error) *Error {
	refusal := refuse(InvalidSetting, "%v", err)
	var value *config.ValueError
	if errors.As(err, &value) {
		refusal.Key, refusal.Allowed = strings.ToLower(value.Key), value.Allowed
		if value.Value != nil {
			refusal.Value = encode(value.Value)
		}
	}
	return refusal
}

func refuseValue(key, value, allowed string) *Error {
	return &Error{Code: InvalidSetting, Key: key, Value: encode(value), Allowed: allowed, Detail: fmt.Sprintf("%s is %s: it must be %s", key, value, allowed)}
}

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

func stale(current, wanted int64) *Error {
	other := "another one"
	if wanted != NoRevision {
		other = strconv.FormatInt(wanted, 10)
	}
	return &Error{Code: StaleRevision, Revision: current, Detail: fmt.Sprintf("the revision is %d, and the change is meant for %s", current, other)}
}
