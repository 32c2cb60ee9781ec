package server

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
	"github.com/logstreamer/logstreamer/internal/clientquota"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/server/eventloop"
)

// certificates are the configurations of a server that requires client certificates and of
// a client that has one.
func certificates(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	until := time.Now().Add(time.Hour)
	ca, err := certificatetest.NewAuthority("ca", until)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM)
	issue := func(name string) tls.Certificate {
		pair, err := ca.Issue(name, until)
		if err != nil {
			t.Fatal(err)
		}
		both, err := tls.X509KeyPair(pair.Cert, pair.Key)
		if err != nil {
			t.Fatal(err)
		}
		return both
	}
	server = &tls.Config{Certificates: []tls.Certificate{issue("server")}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"http/1.1"}}
	client = &tls.Config{Certificates: []tls.Certificate{issue("client")}, RootCAs: pool, ServerName: "localhost"}
	return server, client
}

// serveTLS starts a server that tells the name of the client's certificate in responses to
// GET.
func serveTLS(t *testing.T, config Config, secure *tls.Config) (*Server, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := new(echo)
	routes := e.route
	return Serve(l, config, Dependencies{Protocol: e, TLS: secure, Logger: discard(), Routes: func(r *Request, to *http1.Response) {
		if r.Method == http.MethodGet {
			to.SetJSON(http.StatusOK, []byte(r.Certificate.Subject.CommonName))
			return
		}
		routes(r, to)
	}}), l.Addr().String()
}

// dialTLS returns a client whose handshake is done with its first write.
func dialTLS(t *testing.T, addr string, config *tls.Config) *client {
	t.Helper()
	c := dial(t, addr)
	c.conn = tls.Client(c.conn, config)
	c.reader = bufio.NewReader(c.conn)
	return c
}

func TestTLS(t *testing.T) {
	server, known := certificates(t)
	s, addr := serveTLS(t, defaults(), server)
	defer s.stop(t)
	c := dialTLS(t, addr, known)
	for _, body := range []string{"first", strings.Repeat("x", 1<<20)} {
		c.wantEcho(body)
	}
	c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n" + post(longBody))
	c.want(http.StatusOK, "client")
	c.want(http.StatusOK, string(longText))
	if loops, goroutines := s.Connections(); loops != 0 || goroutines != 1 {
		t.Errorf("loops serve %d connections, goroutines %d", loops, goroutines)
	}
	if protocol := c.conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; protocol != "" {
		t.Errorf("protocol %q without ALPN", protocol)
	}
	known = known.Clone()
	known.NextProtos = []string{"h2", "http/1.1"}
	second := dialTLS(t, addr, known)
	second.wantEcho("second")
	if protocol := second.conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; protocol != "http/1.1" {
		t.Errorf("protocol %q", protocol)
	}
}

// A handshake that fails ends its connection, is counted, and disturbs nobody.
func TestFailedHandshakes(t *testing.T) {
	server, known := certificates(t)
	s, addr := serveTLS(t, defaults(), server)
	defer s.stop(t)
	waiting := dial(t, addr) // holds neither the accept loop nor others
	stranger := known.Clone()
	stranger.Certificates = nil
	refused := dialTLS(t, addr, stranger)
	_ = refused.conn.(*tls.Conn).Handshake()
	if _, err := refused.conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("without a certificate: %v", err)
	}
	garbage := dial(t, addr)
	garbage.send("\x00\x01\x02\x03\x04\x05\x06\x07")
	_, _ = io.Copy(io.Discard, garbage.conn)
	dialTLS(t, addr, known).wantEcho("p")
	if failures := s.handshakes.count.Load(); failures != 2 {
		t.Errorf("%d failures, want 2", failures)
	}
	_ = waiting.conn.Close()
}

func TestPlainHTTPOnTLS(t *testing.T) {
	server, known := certificates(t)
	s, addr := serveTLS(t, defaults(), server)
	defer s.stop(t)
	for _, text := range []string{post("p"), "GET / HTTP/1.1\r\nHost: t\r\n\r\n", post(strings.Repeat("x", 1<<20))} {
		c := dial(t, addr)
		go io.WriteString(c.conn, text) //nolint:errcheck // the response tells
		if a := c.want(http.StatusBadRequest, "this port serves HTTP over TLS: use https"); !a.Close {
			t.Error("the connection stays open")
		}
		_ = c.ends()
	}
	dialTLS(t, addr, known).wantEcho("p")
}

// Connections that do not complete their handshake count toward the limit, and one over it
// is answered over TLS.
func TestTooManyTLSConnections(t *testing.T) {
	server, known := certificates(t)
	config := defaults()
	config.MaxConnections = 9 // of which one client may have 8
	s, addr := serveTLS(t, config, server)
	for range 8 {
		dial(t, addr)
	}
	c := dialTLS(t, addr, known)
	c.send(post("p"))
	if a := c.want(http.StatusServiceUnavailable, ""); !a.Close || a.Header.Get("Retry-After") != "5" {
		t.Errorf("the response has %v", a.Header)
	}
	_ = c.conn.Close()
	s.stop(t)
}

func TestSlowHandshake(t *testing.T) {
	server, _ := certificates(t)
	synctest.Test(t, func(t *testing.T) {
		timeouts := DefaultTimeouts()
		timeouts.Read, timeouts.Idle, timeouts.Write = 10*time.Second, time.Minute, 5*time.Second
		s := &Server{
			deps: Dependencies{Protocol: new(echo), TLS: server, Logger: discard()}, sweeper: newDeadlineSweeper(timeouts),
			connections: newConnTracker(), clients: clientquota.New(1, 1), loops: new(eventloop.Loops), handshakes: handshakes{logger: discard()},
		}
		s.sweeper.run(s.sweep)
		defer s.sweeper.end()
		served, near := net.Pipe()
		s.clients.Take(clientquota.ClientOf(served.RemoteAddr()), 1)
		s.serveConnection(&connection{Fallback: eventloop.Fallback{Conn: s.secured(served)}}, 10*time.Second)
		within(t, "a handshake", 10*time.Second, func() error {
			if _, err := near.Write([]byte{22, 3, 1}); err != nil { // the beginning of a record
				t.Fatal(err)
			}
			_, err := near.Read(make([]byte, 1))
			return err
		})
		synctest.Wait()
		if s.handshakes.count.Load() != 1 || s.open() != 0 {
			t.Errorf("%d failures, %d connections", s.handshakes.count.Load(), s.open())
		}
	})
}
