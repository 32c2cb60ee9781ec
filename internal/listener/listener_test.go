package listener

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// failing is a listener that fails failures times, accepts once and then is
// closed.
type failing struct {
	net.Listener
	failures, closed int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.failures--; f.failures >= 0 {
		return nil, syscall.EMFILE
	}
	if f.failures == -1 {
		conn, _ := net.Pipe()
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (f *failing) Close() error {
	f.closed++
	return nil
}

func TestAcceptRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := NewRetrying(&failing{failures: 20}, slog.New(slog.NewTextHandler(&log, nil)))
		if _, err := l.Accept(); err != nil {
			t.Errorf("after transient failures: %v", err)
		}
		if got := strings.Count(log.String(), "cannot be accepted"); got != 1 {
			t.Errorf("the failure is logged %d times, want once:\n%s", got, log.String())
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("when closed: %v", err)
		}
	})
}

func TestCloseIsIdempotent(t *testing.T) {
	inner := &failing{}
	l := NewRetrying(inner, slog.New(slog.DiscardHandler))
	if err := errors.Join(l.Close(), l.Close()); err != nil || inner.closed != 1 {
		t.Errorf("closed %d times: %v", inner.closed, err)
	}
}
