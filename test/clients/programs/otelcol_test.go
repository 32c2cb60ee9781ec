package programs

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// perRequest is the number of records of a request to the collector.
const perRequest = 50

// request returns numbered records, from first on.
func request(start time.Time, first int) plog.Logs {
	logs := plog.NewLogs()
	rl := logs.ResourceLogs().AppendEmpty()
	rl.SetSchemaUrl("https://opentelemetry.io/schemas/1.37.0")
	rl.Resource().Attributes().PutStr("service.name", "shop")
	rl.Resource().Attributes().PutStr("host.name", "web-1")
	rl.Resource().Attributes().PutInt("process.pid", 7)
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName("scope")
	sl.Scope().SetVersion("1.2")
	for n := first; n < first+perRequest; n++ {
		r := sl.LogRecords().AppendEmpty()
		r.SetTimestamp(nanoseconds(start, n))
		r.SetObservedTimestamp(nanoseconds(start, n) + 5)
		r.SetSeverityNumber(plog.SeverityNumberError)
		r.SetSeverityText("ERROR")
		r.SetEventName("tried")
		r.SetTraceID([16]byte{1, 2, byte(n)})
		r.SetSpanID([8]byte{3, byte(n)})
		r.SetFlags(1)
		r.Attributes().PutInt("n", int64(n))
		r.Attributes().PutDouble("ratio", float64(n)/3)
		r.Attributes().PutBool("even", n%2 == 0)
		r.Attributes().PutEmptyBytes("raw").FromRaw([]byte{0, 255, byte(n)})
		r.Attributes().PutEmptySlice("list").AppendEmpty().SetInt(int64(n))
		r.Attributes().PutEmptyMap("map").PutStr("key", "value")
		if n%10 == 9 {
			r.Body().SetEmptyMap().PutStr("text", fmt.Sprint("m-", n))
		} else {
			r.Body().SetStr(fmt.Sprint("m-", n))
		}
	}
	return logs
}

// nanoseconds returns the time of a record.
func nanoseconds(start time.Time, n int) pcommon.Timestamp {
	return pcommon.NewTimestampFromTime(start.Add(time.Duration(n) * time.Microsecond))
}

// post sends records to a receiver of OTLP until they are accepted.
func post(d *harness.Distributor, url string, logs plog.Logs) {
	d.Helper()
	body, err := new(plog.ProtoMarshaler).MarshalLogs(logs)
	if err != nil {
		d.Fatal(err)
	}
	d.Await("a request is accepted", func() bool {
		response, err := http.Post(url+"/v1/logs", "application/x-protobuf", bytes.NewReader(body))
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// collector starts a collector that sends the records that it receives to an exporter, and returns
// its URL.
func collector(d *harness.Distributor, exporter string) string {
	d.Helper()
	path, receives := program(d.T, "OTELCOL"), addresses(d.T, 1)[0]
	name, _, _ := strings.Cut(exporter, ":")
	config := filepath.Join(d.TempDir(), "config.yaml")
	text := fmt.Sprintf(`receivers:
  otlp: {protocols: {http: {endpoint: %q}}}
exporters:
  %s
service:
  pipelines: {logs: {receivers: [otlp], exporters: [%s]}}
  telemetry: {metrics: {level: none}, logs: {level: warn}}
`, receives, exporter, name)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		d.Fatal(err)
	}
	start(d.T, path, "--config", config)
	awaitListener(d, receives)
	return "http://" + receives
}

// The records of a collector arrive once in each disturbance.
func TestCollectorAsClient(t *testing.T) {
	program(t, "OTELCOL")
	const again = `retry_on_failure: {initial_interval: 200ms, max_interval: 1s, max_elapsed_time: 0}`
	for name, exporter := range map[string]string{
		"http": `otlp_http: {logs_endpoint: "%s/v1/logs", ` + again + `}`,
		"json": `otlp_http: {logs_endpoint: "%s/v1/logs", encoding: json, compression: zstd, ` + again + `}`,
		"grpc": `otlp_grpc: {endpoint: "%s", tls: {insecure: true}, ` + again + `}`,
	} {
		for _, happens := range harness.Disturbances() {
			t.Run(name+"/"+happens.Name, func(t *testing.T) {
				t.Parallel()
				d := harness.Start(t, []string{"otlp-grpc"}, happens.Env...)
				to := d.URL
				if name == "grpc" {
					to = d.Addresses["otlp-grpc"]
				}
				url := collector(d, fmt.Sprintf(exporter, to))
				begin := time.Now()
				var texts []string
				for n := 0; n < messages; n += perRequest {
					if n == messages/2 {
						happens.Happen(d)
					}
					post(d, url, request(begin, n))
				}
				for n := range messages {
					texts = append(texts, fmt.Sprint("m-", n))
				}
				texts = slices.DeleteFunc(texts, func(text string) bool { return text[len(text)-1] == '9' }) // the body is a map
				d.Analyzer.AwaitOnce(t, "m-", texts)
				d.Await("all records arrive", func() bool { return len(d.Analyzer.Messages()) >= messages })
				checkCollected(t, d, begin)
				d.Stop()
			})
		}
	}
}

func checkCollected(t *testing.T, d *harness.Distributor, begin time.Time) {
	t.Helper()
	all := d.Analyzer.Messages()
	t.Logf("%d of %d arrived", len(all), messages)
	if len(all) != messages {
		t.Errorf("%d messages arrived", len(all))
	}
	for _, m := range all {
		var n int
		_, err := fmt.Sscan(m.Metadata["n"], &n)
		at := int64(nanoseconds(begin, n))
		if err != nil || m.EmitterID != "shop/web-1" || m.Level != "ERROR" || m.Timestamp != at/1e6 || m.Metadata["host.name"] != "web-1" ||
			m.Text != fmt.Sprint("m-", n) && m.Text != fmt.Sprintf(`{"text":"m-%d"}`, n) {
			t.Fatalf("%+v", m)
		}
	}
}

// recorder is a receiver of OTLP behind a collector.
type recorder struct {
	url string

	mu      sync.Mutex // guards records
	records []string   // each with its resource and scope, as JSON
}

func newRecorder(t *testing.T) *recorder {
	r := new(recorder)
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// ServeHTTP records a request.
func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	received := plogotlp.NewExportRequest()
	if err == nil {
		err = received.UnmarshalProto(body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, split(received.Logs())...)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// recorded returns the received records, sorted.
func (r *recorder) recorded() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(slices.Values(r.records))
}

// split returns each record with its resource and scope, as JSON.
func split(logs plog.Logs) (all []string) {
	for _, rl := range logs.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				alone := plog.NewLogs()
				resource := alone.ResourceLogs().AppendEmpty()
				rl.Resource().CopyTo(resource.Resource())
				resource.SetSchemaUrl(rl.SchemaUrl())
				scope := resource.ScopeLogs().AppendEmpty()
				sl.Scope().CopyTo(scope.Scope())
				scope.SetSchemaUrl(sl.SchemaUrl())
				r.CopyTo(scope.LogRecords().AppendEmpty())
				text, _ := new(plog.JSONMarshaler).MarshalLogs(alone) // what was parsed can be written
				all = append(all, string(text))
			}
		}
	}
	return all
}

// Records that arrive by OTLP are equal behind a collector that is an analyzer.
func TestCollectorAsAnalyzer(t *testing.T) {
	program(t, "OTELCOL")
	for _, journal := range []string{"memory", "disk"} {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			behind := newRecorder(t)
			waiting := &harness.Distributor{T: t}
			url := collector(waiting, fmt.Sprintf(`otlp_http: {logs_endpoint: "%s/v1/logs", compression: none}`, behind.url))
			d := harness.StartFor(t, "otlp+"+url+"=1", nil, "JOURNAL="+journal)
			begin := time.Now()
			var want []string
			for n := 0; n < messages; n += perRequest {
				logs := request(begin, n)
				want = append(want, split(logs)...)
				post(d, d.URL, logs)
			}
			slices.Sort(want)
			d.Await("all records are behind the collector", func() bool { return len(behind.recorded()) >= messages })
			d.Stop()
			got := behind.recorded()
			if len(got) != messages {
				t.Errorf("%d records are behind the collector, want %d", len(got), messages)
			}
			for n := range min(len(got), messages) {
				if got[n] != want[n] {
					t.Fatalf("the record %s\nbecame %s", want[n], got[n])
				}
			}
			t.Logf("%d records are equal", len(got))
		})
	}
}
