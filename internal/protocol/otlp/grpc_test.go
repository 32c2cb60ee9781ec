package otlp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	grpcencoding "google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
	"github.com/logstreamer/logstreamer/internal/intake"
)

// serve serves gRPC, and returns a client.
func (f *fixture) serve() *grpc.ClientConn {
	f.Helper()
	client, err := grpc.NewClient(f.listen(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = client.Close() })
	return client
}

// listen serves gRPC, and returns the address.
func (f *fixture) listen() string {
	f.Helper()
	return f.listenWith(GRPCDependencies{})
}

// listenWith is listen with some of the dependencies.
func (f *fixture) listenWith(deps GRPCDependencies) string {
	f.Helper()
	deps.Receiver, deps.MaxConnections, deps.Logger = f.receiver, 10, slog.New(slog.DiscardHandler)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	g := ServeGRPC(l, deps)
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := g.Stop(ctx); err != nil || ctx.Err() != nil {
			f.Errorf("%v, %v", err, ctx.Err())
		}
		// Shutdown does not wait for the calls of connections that their clients have closed.
		for f.in.Memory().Held() != 0 && ctx.Err() == nil {
			runtime.Gosched()
		}
		if held := f.in.Memory().Held(); held != 0 {
			f.Errorf("%d bytes are held", held)
		}
	})
	return l.Addr().String()
}

// rawCodec leaves messages as they are.
type rawCodec struct{}

func (rawCodec) Name() string                       { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error)      { return []byte(*v.(*string)), nil }
func (rawCodec) Unmarshal(text []byte, v any) error { *v.(*string) = string(text); return nil }

// compressor compresses the messages of a client.
type compressor struct {
	name string
	open func(io.Writer) io.WriteCloser
}

func (c compressor) Name() string                                 { return c.name }
func (c compressor) Compress(w io.Writer) (io.WriteCloser, error) { return c.open(w), nil }
func (c compressor) Decompress(r io.Reader) (io.Reader, error)    { return r, nil }

func init() {
	for _, c := range []compressor{
		{"gzip", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }},
		{"zstd", func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1)); return z }},
		{"snappy", func(w io.Writer) io.WriteCloser { return snappy.NewBufferedWriter(w) }},
		{"deflate", func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }},
		{"lz4", func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }},
	} {
		grpcencoding.RegisterCompressor(c)
	}
}

func export(ctx context.Context, client *grpc.ClientConn, request string, options ...grpc.CallOption) (response string, err error) {
	err = client.Invoke(ctx, exportPath, &request, &response, options...)
	return response, err
}

func TestGRPC(t *testing.T) {
	f := newFixture(t, false)
	client := f.serve()
	for _, coding := range []string{"identity", "gzip", "zstd", "snappy", "deflate"} {
		for range 2 { // with a decoder that was used before, too
			request := string(otlpRequest(100))
			if response, err := export(t.Context(), client, request, grpc.UseCompressor(coding)); err != nil || response != "" {
				t.Fatalf("%s: %q, %v", coding, response, err)
			}
			if all := f.accepted(); len(all) != 1 || len(all[0].Messages) != 100 {
				t.Errorf("%s: %d packets", coding, len(all))
			}
		}
	}
	if response, err := export(t.Context(), client, ""); err != nil || response != "" {
		t.Errorf("an empty request: %q, %v", response, err)
	}
	if _, err := export(t.Context(), client, "\x0a\x7f"); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no protobuf: %v", err)
	}
	if _, err := export(t.Context(), client, string(make([]byte, 64<<20+1))); status.Code(err) != codes.ResourceExhausted || len(status.Convert(err).Details()) != 0 {
		t.Errorf("a large message: %v", err)
	}
	if _, err := export(t.Context(), client, "x", grpc.UseCompressor("lz4")); status.Code(err) != codes.Unimplemented {
		t.Errorf("an unknown compression: %v", err)
	}
	if _, err := export(t.Context(), client, string(make([]byte, 65<<20)), grpc.UseCompressor("zstd")); status.Code(err) != codes.ResourceExhausted || len(status.Convert(err).Details()) != 0 {
		t.Errorf("a bomb: %v", err)
	}
	var none, response string
	if err := client.Invoke(t.Context(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", &none, &response); status.Code(err) != codes.Unimplemented {
		t.Errorf("another method: %v", err)
	}
	if held := f.in.Memory().Held(); held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

func TestGRPCRefusals(t *testing.T) {
	f := newFixture(t, true)
	client := f.serve()
	if _, err := export(t.Context(), client, ""); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	if _, err := export(ctx, client, ""); err != nil {
		t.Errorf("with a token: %v", err)
	}
	config := *f.in.Config()
	config.Mode = intake.ModePaused
	f.in.Configure(config)
	_, err := export(ctx, client, string(otlpRequest(1)))
	details := status.Convert(err).Details()
	if status.Code(err) != codes.Unavailable || len(details) != 1 {
		t.Fatalf("paused: %v, %v", err, details)
	}
	if info, ok := details[0].(*errdetails.RetryInfo); !ok || info.RetryDelay.AsDuration() > 5*time.Second {
		t.Errorf("%+v", details[0])
	}
}

// Messages that are announced, and arrive in part, hold the memory of the arrived part, for any
// number of requests; when their connection ends no memory is held.
func TestGRPCMemoryGrowsWithArrivedBytes(t *testing.T) {
	f := newFixture(t, false)
	g := f.listen()
	const sent = 100_000
	for range 3 {
		conn, err := net.Dial("tcp", g)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		framer := http2.NewFramer(conn, conn)
		_ = framer.WriteSettings()
		var head bytes.Buffer
		fields := hpack.NewEncoder(&head)
		for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", exportPath}, {":authority", "h"}, {"content-type", grpcType}, {"te", "trailers"}} {
			_ = fields.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true})
		message := append([]byte{0, 3, 0, 0, 0}, make([]byte, sent)...) // of 48 MiB
		for len(message) > 0 {
			part := message[:min(len(message), maxFrame)]
			if err := framer.WriteData(1, false, part); err != nil {
				t.Fatal(err)
			}
			message = message[len(part):]
		}
	}
	for f.in.Memory().Held() < 3*sent {
		runtime.Gosched()
	}
	if held := f.in.Memory().Held(); held > 3*8*sent+1<<20 {
		t.Errorf("%d bytes are held", held)
	}
}

// Over TLS calls are answered, and failed handshakes are counted. Connections on which no data was
// sent are not counted.
func TestGRPCOverTLS(t *testing.T) {
	authority, err := certificatetest.NewAuthority("test", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := authority.Issue("distributor", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, false)
	failed := make(chan struct{}, 10)
	address := f.listenWith(GRPCDependencies{
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}, HandshakeFailed: func() { failed <- struct{}{} },
	})
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority.PEM)
	client, err := grpc.NewClient(address, grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: trusted, ServerName: "distributor"})))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if response, err := export(t.Context(), client, string(otlpRequest(1))); err != nil || response != "" {
		t.Errorf("%q, %v", response, err)
	}
	for _, text := range []string{"", "this is no TLS"} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn) // until the connection is closed
		_ = conn.Close()
	}
	<-failed
	if len(failed) > 0 {
		t.Error("a connection on which nothing was sent is a failed handshake")
	}
}
