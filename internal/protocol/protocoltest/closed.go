package protocoltest

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/stream"
)

// ClosedConnectionsAreLoggedOnce tests that a client whose data ends its connections, and that
// connects again and again, is logged once.
func ClosedConnectionsAreLoggedOnce(t *testing.T, protocol string, handler func(*receiver.Receiver) stream.Handler, data []byte) {
	var log bytes.Buffer
	s := (&System{Logger: slog.New(slog.NewTextHandler(&log, nil))}).Start(t, protocol)
	handle := handler(s.Receiver)
	for range 3 {
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		go func() {
			_, _ = ours.Write(data) // the handler may have returned
			_ = ours.Close()
		}()
		handle(t.Context(), stream.Conn{Conn: theirs, Client: Client})
		_ = theirs.Close()
	}
	if lines := strings.Count(log.String(), "a connection is closed"); lines != 1 {
		t.Errorf("%d lines: %s", lines, log.String())
	}
}
