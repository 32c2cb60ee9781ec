package upgrade

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// One request is answered at a time.
func TestRequestInProgress(t *testing.T) {
	if !supported {
		t.Skip("upgrades need Linux")
	}
	synctest.Test(t, func(t *testing.T) {
		u := New([]string{"/bin/logstreamer", "distributor"})
		first := make(chan error)
		go func() { first <- u.Request(context.Background()) }()
		request := <-u.Requests()
		if err := u.Request(context.Background()); !errors.Is(err, ErrInProgress) {
			t.Errorf("the second request: %v", err)
		}
		reason := errors.New("undelivered")
		request.Done(reason)
		if err := <-first; !errors.Is(err, reason) {
			t.Errorf("the first request: %v", err)
		}
	})
}

// An error has the end of a long output.
func TestOutputIsBounded(t *testing.T) {
	var out tail
	for range 100 {
		_, _ = out.Write([]byte(strings.Repeat("x", 999) + "\n"))
	}
	_, _ = out.Write([]byte(Passed + "\n"))
	if len(out.text) != maxOutput || !out.endsWith(Passed) {
		t.Errorf("%d bytes, passed: %v", len(out.text), out.endsWith(Passed))
	}
}
