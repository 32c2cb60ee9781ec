package otlp

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

const messages = 2000

// exporters are the exporters of the SDK for a distributor. Their default timeout of ten seconds
// bounds a request with its retries over gRPC: here it is longer than the analyzer hangs.
var exporters = map[string]func(*harness.Distributor) (sdklog.Exporter, error){
	"http": func(d *harness.Distributor) (sdklog.Exporter, error) {
		return otlploghttp.New(context.Background(), otlploghttp.WithEndpointURL(d.URL+"/v1/logs"),
			otlploghttp.WithCompression(otlploghttp.GzipCompression), otlploghttp.WithTimeout(time.Minute), otlploghttp.WithRetry(otlploghttp.RetryConfig(retries)))
	},
	"grpc": func(d *harness.Distributor) (sdklog.Exporter, error) {
		return otlploggrpc.New(context.Background(), otlploggrpc.WithEndpoint(d.Addresses["otlp-grpc"]), otlploggrpc.WithInsecure(),
			otlploggrpc.WithCompressor("gzip"), otlploggrpc.WithTimeout(time.Minute), otlploggrpc.WithRetry(otlploggrpc.RetryConfig(retries)))
	},
}

// retries last longer than the analyzer hangs.
var retries = struct {
	Enabled                                      bool
	InitialInterval, MaxInterval, MaxElapsedTime time.Duration
}{true, 100 * time.Millisecond, time.Second, time.Minute}

// emit emits messages through the batch processor of the SDK until done, disturbs it in the middle,
// and returns the messages.
func emit(t *testing.T, exporter sdklog.Exporter, during func()) (texts []string) {
	t.Helper()
	described := resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("host.name", "h1"))
	provider := sdklog.NewLoggerProvider(sdklog.WithResource(described),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter, sdklog.WithExportMaxBatchSize(100), sdklog.WithExportTimeout(time.Minute), sdklog.WithMaxQueueSize(2*messages))))
	logger := provider.Logger("scope")
	for n := range messages {
		if n == messages/2 {
			during()
		}
		var r log.Record
		text := fmt.Sprintf("message-%d", n)
		r.SetTimestamp(time.Unix(1_700_000_000, int64(n)))
		r.SetSeverity(log.SeverityWarn)
		r.SetSeverityText("WARN")
		r.SetBody(attribute.StringValue(text))
		r.AddAttributes(attribute.Int("n", n))
		logger.Emit(t.Context(), r)
		texts = append(texts, text)
	}
	if err := provider.Shutdown(context.Background()); err != nil {
		t.Logf("the SDK says: %v", err)
	}
	return texts
}

func checkOne(t *testing.T, d *harness.Distributor) {
	t.Helper()
	for _, m := range d.Analyzer.Messages() {
		var n int64
		if _, err := fmt.Sscanf(m.Text, "message-%d", &n); err != nil {
			t.Fatalf("%+v", m)
		}
		nanoseconds := fmt.Sprint(1_700_000_000_000_000_000 + n)
		if n == 0 {
			nanoseconds = "" // whole milliseconds
		}
		if m.EmitterID != "shop/h1" || m.Level != "WARN" || m.Timestamp != 1_700_000_000_000 || m.Metadata["host.name"] != "h1" ||
			m.Metadata["time_unix_nano"] != nanoseconds || m.Metadata["n"] != fmt.Sprint(n) || m.Types["n"] != "i" {
			t.Fatalf("%+v", m)
		}
	}
}

// The SDK's messages arrive once, except that over HTTP it drops requests whose connection is
// refused, as it is while a distributor that was killed is restarted.
func TestGoSDK(t *testing.T) {
	for name, open := range exporters {
		for _, happens := range harness.Disturbances() {
			t.Run(name+"/"+happens.Name, func(t *testing.T) {
				t.Parallel()
				d := harness.Start(t, []string{"otlp-grpc"}, happens.Env...)
				exporter, err := open(d)
				if err != nil {
					t.Fatal(err)
				}
				texts := emit(t, exporter, func() {
					d.Await("a message arrives", func() bool { return len(d.Analyzer.Messages()) > 0 })
					happens.Happen(d)
				})
				if name == "grpc" || happens.Name != "killed" {
					d.Analyzer.AwaitOnce(t, "message-", texts)
				}
				d.Stop()
				t.Logf("%d of %d arrived", len(d.Analyzer.Messages()), messages)
				checkOne(t, d)
			})
		}
	}
}
