package otlp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/clientquota"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

const (
	exportPath = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
	grpcType   = "application/grpc"
	// codings are the supported content codings of messages.
	codings = "gzip, zstd, snappy, deflate"
	// messagePrefix is the length of the prefix of a message: a flag for compression, and the
	// length of the message.
	messagePrefix = 5
	// maxStreams bounds the concurrent requests of a connection.
	maxStreams     = 128
	maxHeaderBytes = 16 << 10
	// HTTP/2 windows of a request and of a connection, in bytes: the data that HTTP/2 holds while
	// requests wait for memory.
	streamBuffer     = 256 << 10
	connectionBuffer = 1 << 20
	maxFrame         = 16 << 10
	// handshakeTimeout bounds the handshake of a connection, and arrivalTimeout the arrival of a
	// message.
	handshakeTimeout = 15 * time.Second
	arrivalTimeout   = time.Minute
	// Pings to idle clients detect dead connections.
	pingInterval = time.Minute
	pingTimeout  = 20 * time.Second
)

// GRPC serves OTLP over gRPC: calls with one message, each a request of HTTP/2. An arriving message
// takes as much memory as the receiver lends.
type GRPC struct {
	logs
	server *http.Server
	served chan struct{} // closed when Serve has ended
}

// GRPCDependencies are what GRPC uses.
type GRPCDependencies struct {
	Receiver *receiver.Receiver
	// TLS, unless nil, is used for all connections.
	TLS *tls.Config
	// HandshakeFailed is called after each failed TLS handshake, concurrently.
	HandshakeFailed func()
	// MaxConnections bounds the open connections.
	MaxConnections int
	Logger         *slog.Logger
}

// ServeGRPC starts serving a listener, until Stop.
func ServeGRPC(l net.Listener, deps GRPCDependencies) *GRPC {
	g := &GRPC{logs: logs{receiver: deps.Receiver}, served: make(chan struct{})}
	g.server = &http.Server{
		Handler: g, Protocols: new(http.Protocols), MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: handshakeTimeout,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: streamBuffer, MaxReceiveBufferPerConnection: connectionBuffer,
			MaxReadFrameSize: maxFrame, SendPingTimeout: pingInterval, PingTimeout: pingTimeout,
		},
		ErrorLog: slog.NewLogLogger(deps.Logger.Handler(), slog.LevelDebug), // of single connections
	}
	bounded := net.Listener(boundListener(l, deps.MaxConnections, deps.Logger))
	if deps.TLS == nil {
		g.server.Protocols.SetUnencryptedHTTP2(true)
	} else {
		g.server.Protocols.SetHTTP2(true)
		bounded = tls.NewListener(bounded, overHTTP2(deps.TLS))
		g.server.ConnState = func(conn net.Conn, state http.ConnState) {
			if state == http.StateClosed && hasFailed(conn) {
				deps.HandshakeFailed()
			}
		}
	}
	go func() {
		defer close(g.served)
		if err := g.server.Serve(bounded); !errors.Is(err, http.ErrServerClosed) {
			deps.Logger.Error("input has ended", "error", err)
		}
	}()
	return g
}

// hasFailed reports whether a closed connection had a TLS handshake that the client began and did
// not complete.
func hasFailed(conn net.Conn) bool {
	secure, ok := conn.(*tls.Conn)
	if !ok || secure.ConnectionState().HandshakeComplete {
		return false
	}
	bounded, ok := secure.NetConn().(*boundedConn)
	return ok && bounded.received.Load()
}

// Stop stops accepting connections, answers the calls in flight until ctx ends, and closes all
// connections.
func (g *GRPC) Stop(ctx context.Context) error {
	if err := g.server.Shutdown(ctx); err != nil {
		_ = g.server.Close() // ctx has ended
	}
	<-g.served
	return nil
}

// overHTTP2 returns the configuration for HTTP/2; its files are still reloaded.
func overHTTP2(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	if inner := config.GetConfigForClient; inner != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			current, err := inner(hello)
			if err != nil || current == nil {
				return nil, err
			}
			current = current.Clone()
			current.NextProtos = []string{"h2"}
			return current, nil
		}
	}
	return config
}

// ServeHTTP handles one call.
func (g *GRPC) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), grpcType) {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return
	}
	w.Header().Set("Content-Type", grpcType)
	if r.URL.Path != exportPath {
		g.refuse(w, &grpcStatus{code: unimplemented, message: r.URL.Path + " is no method: logs are sent to " + exportPath})
		return
	}
	response, why := g.export(w, r)
	if why != nil {
		g.refuse(w, why)
		return
	}
	_, _ = w.Write(response) // the client may have disconnected
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
}

// export returns the response to a call, with its prefix.
func (g *GRPC) export(w http.ResponseWriter, r *http.Request) (response []byte, refused *grpcStatus) {
	from, why := g.authenticate(r)
	if why != nil {
		return nil, statusOf(why)
	}
	body, refused := g.receive(w, r, from)
	if refused != nil {
		return nil, refused
	}
	ctx, cancel := receiver.WithCapacityTimeout()
	defer cancel()
	sum, why := g.accept(ctx, from, body, encodingProtobuf)
	if why != nil {
		return nil, statusOf(why)
	}
	response = appendResponse(make([]byte, messagePrefix), sum)
	binary.BigEndian.PutUint32(response[1:], uint32(len(response)-messagePrefix))
	return response, nil
}

func (g *GRPC) authenticate(r *http.Request) (receiver.Sender, *problem.Problem) {
	var client netip.Addr
	if address, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		client = clientquota.ClientOf(net.TCPAddrFromAddrPort(address))
	}
	var certificate *x509.Certificate
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		certificate = r.TLS.VerifiedChains[0][0]
	}
	var token []byte
	if field := r.Header.Get("Authorization"); field != "" {
		token = receiver.Token([]byte(field))
	}
	return g.receiver.AuthenticateClient(client, certificate, token)
}

// receive reads the message of a call into lent memory, and decodes it.
func (g *GRPC) receive(w http.ResponseWriter, r *http.Request, from receiver.Sender) (*packet.Packet, *grpcStatus) {
	// Without the deadline a slow client is still bounded in memory.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(arrivalTimeout))
	var prefix [messagePrefix]byte
	if _, err := io.ReadFull(r.Body, prefix[:]); err != nil {
		return nil, statusOf(g.receiver.Unreadable(err))
	}
	coding, length := "", int(binary.BigEndian.Uint32(prefix[1:]))
	if prefix[0] != 0 {
		if coding = r.Header.Get("Grpc-Encoding"); !isCoding(coding) {
			w.Header().Set("Grpc-Accept-Encoding", strings.ReplaceAll(codings, " ", ""))
			g.receiver.Refuse(problem.Problem{Code: problem.UnsupportedEncoding})
			return nil, &grpcStatus{code: unimplemented, message: "the compression " + coding + " is not understood: " + codings + " are"}
		}
	}
	ctx, cancel := receiver.WithCapacityTimeout()
	defer cancel()
	body, why := g.receiver.ReadMessage(ctx, from, r.Body, length, coding)
	if why != nil {
		return nil, statusOf(why)
	}
	return body, nil
}

func isCoding(name string) bool {
	for coding := range strings.SplitSeq(codings, ", ") {
		if coding == name {
			return true
		}
	}
	return false
}
