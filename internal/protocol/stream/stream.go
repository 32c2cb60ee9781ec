// Package stream serves listeners of protocols other than HTTP: it accepts connections, bounds
// their number, secures them with TLS, and ends them. A Handler reads and writes the data of a
// connection.
package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/logstreamer/logstreamer/internal/clientquota"
	"github.com/logstreamer/logstreamer/internal/listener"
)

const (
	// handshakeTimeout bounds a TLS handshake.
	handshakeTimeout = 15 * time.Second
	// connectionsFactor bounds the connections of one client to a multiple of the free connections.
	connectionsFactor = 8
	// lingerTimeout bounds the time in which Stop waits for clients to end their connections.
	lingerTimeout = time.Second
)

// Conn is a connection of a client.
type Conn struct {
	net.Conn
	Client netip.Addr // see clientquota.ClientOf
	// Certificate is the client's verified certificate, or nil.
	Certificate *x509.Certificate
}

// Peer returns the IP address of the client, without a zone, or Client if it has none.
func (c Conn) Peer() netip.Addr {
	peer, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return c.Client
	}
	return peer.Addr().Unmap().WithZone("")
}

// Handler serves a connection until it ends, or until ctx ends: reads then fail. It need not
// close the connection. It is called concurrently.
type Handler func(ctx context.Context, c Conn)

// Dependencies are what a Server uses.
type Dependencies struct {
	Handler Handler
	// OneWay means that the Handler writes nothing: Stop tells the clients to end, and lets the
	// Handler read what they have sent until then.
	OneWay bool
	// TLS, unless nil, is used for all connections.
	TLS *tls.Config
	// HandshakeFailed, unless nil, is called after each failed TLS handshake, concurrently.
	HandshakeFailed func()
	// Rejected, unless nil, is called for each connection over the limit, concurrently.
	Rejected func()
	Logger   *slog.Logger
}

// Server serves a listener.
type Server struct {
	deps     Dependencies
	listener *listener.Retrying
	clients  *clientquota.Quota
	ctx      context.Context // ends with Stop
	cancel   context.CancelFunc
	serving  sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]struct{}
}

// Serve starts serving a listener with at most that many connections.
func Serve(l net.Listener, maxConnections int, deps Dependencies) *Server {
	s := &Server{
		deps: deps, listener: listener.NewRetrying(l, deps.Logger), conns: make(map[net.Conn]struct{}),
		clients: clientquota.New(int64(maxConnections), connectionsFactor),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.serving.Go(s.accept)
	return s
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		client := clientquota.ClientOf(conn.RemoteAddr())
		if !s.clients.Take(client, 1) {
			if s.deps.Rejected != nil {
				s.deps.Rejected()
			}
			_ = conn.Close()
			continue
		}
		s.serving.Go(func() {
			defer s.clients.Give(client, 1)
			s.serve(conn, client)
		})
	}
}

func (s *Server) serve(conn net.Conn, client netip.Addr) {
	defer conn.Close() //nolint:errcheck // nothing is left to write
	if !s.add(conn) {
		return
	}
	defer s.remove(conn)
	c := Conn{Conn: conn, Client: client}
	if s.deps.TLS != nil && !s.handshake(&c) {
		return
	}
	s.deps.Handler(s.ctx, c)
}

// handshake replaces the connection by one with TLS.
func (s *Server) handshake(c *Conn) bool {
	secure := tls.Server(c.Conn, s.deps.TLS)
	ctx, cancel := context.WithTimeout(s.ctx, handshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		if s.deps.HandshakeFailed != nil && s.ctx.Err() == nil {
			s.deps.HandshakeFailed()
		}
		return false
	}
	c.Conn = secure
	if chains := secure.ConnectionState().VerifiedChains; len(chains) > 0 {
		c.Certificate = chains[0][0]
	}
	return true
}

// add reports false if the server stops.
func (s *Server) add(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *Server) remove(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// Stop closes the listener, ends the contexts and the reads of the handlers and waits for
// them. When ctx ends it closes the remaining connections.
func (s *Server) Stop(ctx context.Context) error {
	err := s.listener.Close()
	done := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(done)
	}()
	if s.deps.OneWay {
		s.linger(ctx, done)
	}
	s.cancel()
	s.each(func(conn net.Conn) { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	select {
	case <-done:
	case <-ctx.Done():
		s.each(func(conn net.Conn) { _ = conn.Close() })
		<-done
	}
	return err
}

// each calls visit for each connection.
func (s *Server) each(visit func(net.Conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		visit(conn)
	}
}

// linger ends the distributor's side of the connections and waits until the clients have ended
// theirs: a connection that is closed with unread data loses that data.
func (s *Server) linger(ctx context.Context, done <-chan struct{}) {
	s.each(func(conn net.Conn) {
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // the client may have ended
		}
	})
	timeout := time.NewTimer(lingerTimeout)
	defer timeout.Stop()
	select {
	case <-done:
	case <-timeout.C:
	case <-ctx.Done():
	}
}

// Connections returns the number of open connections.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
