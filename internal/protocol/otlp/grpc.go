package otlp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/logstreamer/logstreamer/internal/clientquota"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

const (
	// maxStreams bounds the requests of a connection that are open at once.
	maxStreams = 128
	// arrivingBytes is how much memory a request takes on average while it arrives: so many
	// requests arrive at once that the memory limit suffices.
	arrivingBytes = 4 << 20
	minArriving   = 16
	// arrivingFactor bounds those of one client to that many times what is free.
	arrivingFactor = 8
	maxHeaderBytes = 16 << 10
	// Clients may ping that often, and silent ones are asked whether they are there.
	minPingInterval = 5 * time.Second
	pingInterval    = time.Minute
	pingTimeout     = 20 * time.Second
)

// GRPC serves OTLP over gRPC.
type GRPC struct {
	logs
	server   *grpc.Server
	arriving *clientquota.Quota // requests whose message has not arrived whole
	served   chan struct{}      // closed when Serve has ended
}

// GRPCDependencies are what GRPC uses.
type GRPCDependencies struct {
	Receiver *receiver.Receiver
	// TLS, unless nil, is what all connections speak.
	TLS *tls.Config
	// HandshakeFailed is called after each failed TLS handshake, concurrently.
	HandshakeFailed func()
	// MaxConnections bounds the open connections.
	MaxConnections int
	Logger         *slog.Logger
}

// ServeGRPC starts serving a listener, until Stop. The maximum size of a message is that of the
// receiver now.
func ServeGRPC(l net.Listener, deps GRPCDependencies) *GRPC {
	arriving := max(minArriving, deps.Receiver.MemoryLimit()/arrivingBytes)
	g := &GRPC{logs: logs{receiver: deps.Receiver}, arriving: clientquota.New(arriving, arrivingFactor), served: make(chan struct{})}
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(deps.Receiver.MaxBodyBytes()),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
	}
	if deps.TLS != nil {
		options = append(options, grpc.Creds(&secured{credentials.NewTLS(overHTTP2(deps.TLS)), deps.HandshakeFailed}))
	}
	g.server = grpc.NewServer(options...)
	g.server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "opentelemetry.proto.collector.logs.v1.LogsService",
		// On the wire a call with one message is a stream of one, whose handler is called
		// before the message is read.
		Streams: []grpc.StreamDesc{{StreamName: "Export", Handler: g.export, ClientStreams: true}},
	}, nil)
	bounded := boundListener(l, deps.MaxConnections, deps.Logger)
	go func() {
		defer close(g.served)
		if err := g.server.Serve(bounded); err != nil {
			deps.Logger.Error("input has ended", "error", err)
		}
	}()
	return g
}

// Stop stops accepting, answers what was begun until ctx ends, and closes all connections.
func (g *GRPC) Stop(ctx context.Context) error {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		g.server.GracefulStop()
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		g.server.Stop()
		<-stopped
	}
	<-g.served
	return nil
}

// overHTTP2 returns the configuration for HTTP/2, whose files are read anew as before.
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

// secured counts failed handshakes.
type secured struct {
	credentials.TransportCredentials
	failed func()
}

// ServerHandshake implements credentials.TransportCredentials.
func (s *secured) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, info, err := s.TransportCredentials.ServerHandshake(conn)
	if err != nil && !errors.Is(err, io.EOF) {
		s.failed()
	}
	return secure, info, err
}

// export handles one call.
func (g *GRPC) export(_ any, stream grpc.ServerStream) error {
	from, why := g.authenticate(stream.Context())
	if why != nil {
		return statusOf(why)
	}
	body, err := g.receive(stream, from)
	if err != nil {
		return err
	}
	ctx, cancel := receiver.WithRoom()
	defer cancel()
	sum, why := g.accept(ctx, from, body, encodingProtobuf)
	if why != nil {
		return statusOf(why)
	}
	return stream.SendMsg(&message{text: appendResponse(nil, sum)})
}

func (g *GRPC) authenticate(ctx context.Context) (receiver.Sender, *problem.Problem) {
	var client netip.Addr
	var certificate *x509.Certificate
	if p, ok := peer.FromContext(ctx); ok {
		client = clientquota.ClientOf(p.Addr)
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(info.State.VerifiedChains) > 0 {
			certificate = info.State.VerifiedChains[0][0]
		}
	}
	var token []byte
	if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) > 0 {
		token = receiver.Token([]byte(values[0]))
	}
	return g.receiver.AuthenticateClient(client, certificate, token)
}

// receive reads the message of a call into lent memory.
func (g *GRPC) receive(stream grpc.ServerStream, from receiver.Sender) (*packet.Packet, error) {
	if !g.arriving.Take(from.Client, 1) {
		return nil, statusOf(g.receiver.Refuse(problem.Problem{Code: problem.Overloaded, Detail: "too many requests are arriving"}))
	}
	var m message
	err := stream.RecvMsg(&m)
	g.arriving.Give(from.Client, 1)
	defer m.data.Free()
	if err != nil {
		return nil, g.unreceived(err)
	}
	ctx, cancel := receiver.WithRoom()
	defer cancel()
	body, err := g.receiver.LendWithRoom(ctx, m.data.Len())
	if err != nil {
		return nil, statusOf(g.untranslated(g.receiver.NewPackets(ctx), err))
	}
	body.Body = body.Body[:m.data.Len()]
	m.data.CopyTo(body.Body)
	return body, nil
}

// unreceived returns the status of a call whose message could not be read. That of a message
// which is too large has no RetryInfo, so that clients do not send it again.
func (g *GRPC) unreceived(err error) error {
	code := problem.Malformed
	switch status.Code(err) {
	case codes.ResourceExhausted:
		code = problem.TooLarge
	case codes.Internal, codes.Unknown: // it cannot be decompressed, or there is none
		err = status.Error(codes.InvalidArgument, "the message cannot be read: "+err.Error())
	case codes.Canceled, codes.DeadlineExceeded:
		code = problem.SlowRequest
	}
	g.receiver.Refuse(problem.Problem{Code: code, Detail: err.Error()})
	return err
}

// statusOf returns the status of a problem: with RetryInfo if clients may send the request
// again.
func statusOf(p *problem.Problem) error {
	r := refusalOf(p)
	s := status.New(codes.Code(r.code), string(p.Code)+": "+p.Detail)
	if r.retryAfter > 0 {
		detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Duration(r.retryAfter) * time.Second)})
		if err == nil {
			s = detailed
		}
	}
	return s.Err()
}
