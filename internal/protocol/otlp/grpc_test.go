package otlp

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/logstreamer/logstreamer/internal/intake"
)

// serve serves gRPC, and returns a client.
func (f *fixture) serve() *grpc.ClientConn {
	f.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	g := ServeGRPC(l, GRPCDependencies{Receiver: f.receiver, MaxConnections: 10, Logger: slog.New(slog.DiscardHandler)})
	client, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		_ = client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := g.Stop(ctx); err != nil || ctx.Err() != nil {
			f.Errorf("%v, %v", err, ctx.Err())
		}
	})
	return client
}

func export(ctx context.Context, client *grpc.ClientConn, request string, options ...grpc.CallOption) (answer string, err error) {
	var to message
	err = client.Invoke(ctx, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", &message{text: []byte(request)}, &to, options...)
	defer to.data.Free()
	return string(to.data.Materialize()), err
}

func TestGRPC(t *testing.T) {
	f := newFixture(t, false)
	client := f.serve()
	for _, coding := range []string{"identity", "gzip", "zstd", "snappy", "deflate"} {
		for range 2 { // with a decoder of the pool, too
			request := string(otlpRequest(100))
			if answer, err := export(t.Context(), client, request, grpc.UseCompressor(coding)); err != nil || answer != "" {
				t.Fatalf("%s: %q, %v", coding, answer, err)
			}
			if all := f.accepted(); len(all) != 1 || len(all[0].Messages) != 100 {
				t.Errorf("%s: %d packets", coding, len(all))
			}
		}
	}
	if answer, err := export(t.Context(), client, ""); err != nil || answer != "" {
		t.Errorf("an empty request: %q, %v", answer, err)
	}
	if _, err := export(t.Context(), client, "\x0a\x7f"); status.Code(err) != codes.InvalidArgument {
		t.Errorf("no protobuf: %v", err)
	}
	if _, err := export(t.Context(), client, string(make([]byte, 64<<20+1))); status.Code(err) != codes.ResourceExhausted || len(status.Convert(err).Details()) != 0 {
		t.Errorf("a large message: %v", err)
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
