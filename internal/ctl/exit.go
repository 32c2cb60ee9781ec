package ctl

import (
	"errors"

	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// Exit codes.
const (
	ExitFailed       = 1
	ExitUsage        = 2
	ExitUnreachable  = 3
	ExitUnauthorized = 4
	ExitStale        = 5
)

// ExitCodes explains the exit codes.
const ExitCodes = `Exit codes: 0 done; 1 refused, or failed; 2 wrong usage; 3 no answer; 4 not authorized (401, 403);
5 the configuration has a newer revision than -if-match (412).`

// UsageError is an invalid command line.
type UsageError struct{ error }

// Unwrap returns the cause.
func (e UsageError) Unwrap() error { return e.error }

// ExitCode returns the exit code for an error of a command.
func ExitCode(err error) int {
	var usage UsageError
	var refused *adminclient.Error
	var unreachable *adminclient.UnreachableError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return ExitUsage
	case errors.As(err, &refused) && refused.Unauthorized():
		return ExitUnauthorized
	case errors.As(err, &refused) && refused.Stale():
		return ExitStale
	case errors.As(err, &unreachable):
		return ExitUnreachable
	default:
		return ExitFailed
	}
}

func asRefusal(err error) (*adminclient.Error, bool) {
	var refused *adminclient.Error
	ok := errors.As(err, &refused)
	return refused, ok
}
