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

// exporters are those of the SDK, of a distributor.
var exporters = map[string]func(*harness.Distributor) (sdklog.Exporter, error){
	"http": func(d *harness.Distributor) (sdklog.Exporter, error) {
		return otlploghttp.New(context.Background(), otlploghttp.WithEndpointURL(d.URL+"/v1/logs"),
			otlploghttp.WithCompression(otlploghttp.GzipCompression), otlploghttp.WithRetry(otlploghttp.RetryConfig(retries)))
	},
	"grpc": func(d *harness.Distributor) (sdklog.Exporter, error) {
		return otlploggrpc.New(context.Background(), otlploggrpc.WithEndpoint(d.Addresses["otlp-grpc"]), otlploggrpc.WithInsecure(),
			otlploggrpc.WithCompressor("gzip"), otlploggrpc.WithRetry(otlploggrpc.RetryConfig(retries)))
	},
}

// retries last longer than the analyzer hangs.
var retries = struct {
	Enabled                                      bool
	InitialInterval, MaxInterval, MaxElapsedTime time.Duration
}{true, 100 * time.Millisecond, time.Second, time.Minute}

// emit emits messages through the batch processor of the SDK until done, and returns them.
func emit(t *testing.T, exporter sdklog.Exporter, during func()) (texts []string) {
	t.Helper()
	described := resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("host.name", "h1"))
	provider := sdklog.NewLoggerProvider(sdklog.WithResource(described),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter, sdklog.WithExportMaxBatchSize(100), sdklog.WithExportTimeout(time.Minute), sdklog.WithMaxQueueSize(2*messages))))
	logger := provider.Logger("scope")
	for n := range messages {
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
	during()
	if err := provider.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
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

// The SDK's messages arrive once, with a journal that is full while the analyzer hangs.
func TestGoSDK(t *testing.T) {
	for name, open := range exporters {
		t.Run(name, func(t *testing.T) {
			d := harness.Start(t, []string{"otlp-grpc"}, "INGEST_BUFFER_SIZE=3", "PER_ANALYZER_QUEUE_SIZE=3")
			exporter, err := open(d)
			if err != nil {
				t.Fatal(err)
			}
			d.Analyzer.Hang()
			texts := emit(t, exporter, func() {
				time.AfterFunc(2*time.Second, d.Analyzer.Resume)
			})
			d.Analyzer.AwaitOnce(t, "message-", texts)
			checkOne(t, d)
			d.Stop()
		})
	}
}

// A distributor that is killed loses nothing that it has acknowledged, and the SDK sends the
// rest again: over gRPC, since over HTTP it gives requests up whose connection is refused.
func TestGoSDKWithKill(t *testing.T) {
	d := harness.Start(t, []string{"otlp-grpc"}, "JOURNAL=disk")
	exporter, err := exporters["grpc"](d)
	if err != nil {
		t.Fatal(err)
	}
	texts := emit(t, exporter, d.Restart)
	d.Analyzer.AwaitAll(t, "message-", texts)
	checkOne(t, d)
}
