package native

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// writesConn counts the writes of a connection: each is a TLS record, or more.
type writesConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c writesConn) Write(text []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(text)
}

func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Accept-Post", ndjsonType)
	}))
	defer server.Close()
	var writes, handshakes atomic.Int64
	var trusted atomic.Pointer[x509.CertPool]
	trusted.Store(x509.NewCertPool())
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return writesConn{conn, &writes}, err
	}
	s := New(parseURL(t, server.URL), dial, func(host string) *tls.Config {
		handshakes.Add(1)
		return &tls.Config{RootCAs: trusted.Load(), ServerName: host}
	}, slog.New(slog.DiscardHandler))
	f := &fixture{Sink: s, conn: s.newConn("/ingest")}
	defer f.conn.Close()
	if r := f.probeOnce(t); r.Outcome != sink.Failed {
		t.Fatalf("a server that is not trusted: %+v", r)
	}
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	trusted.Store(pool) // as after a rotation
	want(t, f.probeOnce(t), sink.Delivered, "")
	want(t, f.sendAll(t, f.packets.some(t, 1)), sink.Delivered, "")
	handshakes.Store(0)
	writes.Store(0)
	for i, n := range []int{1, 20} {
		want(t, f.sendAll(t, f.packets.some(t, n)), sink.Delivered, "")
		if written := writes.Load(); handshakes.Load() != 0 || written != int64(i+1) {
			t.Errorf("a request of %d packets: %d writes so far, %d handshakes", n, written, handshakes.Load())
		}
	}
	large := f.packets.of(t, padded(300<<10))
	if r := f.conn.Send(t.Context(), append(f.packets.some(t, 1), large), time.Now().Add(requestTimeout)); r.Outcome != sink.Delivered {
		t.Errorf("a large request: %+v", r)
	}
}
