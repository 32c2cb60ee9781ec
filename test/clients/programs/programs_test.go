// Package programs tests the inputs, and an output, with programs that take minutes to build. Each
// is named by a variable of the environment, and its tests are skipped without it:
//
//	go -C bench/otelcol build -o /tmp/otelcol .
//	OTELCOL=/tmp/otelcol go test ./test/clients/programs -judge -v
//
// BULKINDEXER and LOKICLIENT are test/clients/programs/bulkindexer and lokiclient, and
// TELEMETRYGEN is built by go install of
// github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen@v0.161.0.
//
// FLUENT_BIT is bin/fluent-bit of its source, built by CMake with flex, bison, OpenSSL, libyaml
// and SQLite:
//
//	cmake -DFLB_RELEASE=On -DFLB_MINIMAL=On -DFLB_IN_TAIL=On -DFLB_OUT_FORWARD=On -DFLB_OUT_HTTP=On \
//	  -DFLB_OUT_LOKI=On -DFLB_OUT_ES=On -DFLB_OUT_OPENTELEMETRY=On -DFLB_OUT_SPLUNK=On -DFLB_OUT_GELF=On \
//	  -DFLB_OUT_DATADOG=On -DFLB_OUT_SYSLOG=On -DFLB_PROCESSOR_CONTENT_MODIFIER=On \
//	  -DFLB_PROCESSOR_OPENTELEMETRY_ENVELOPE=On -DFLB_LUAJIT=Off -DFLB_WASM=Off -DFLB_KAFKA=Off \
//	  -DFLB_PREFER_SYSTEM_LIB_SQLITE=On .. && make fluent-bit-bin
//
// FLUENTD is a script that runs bin/fluentd of its source, or of its package. TELEGRAF is built in
// a module that requires github.com/influxdata/telegraf@v1.37.2:
//
//	go build -mod=mod -tags custom,inputs.tail,parsers.json_v2,outputs.loki,outputs.syslog github.com/influxdata/telegraf/cmd/telegraf
//
// FILEBEAT is built in a module that requires github.com/elastic/beats/v7@v7.17.29 and has the replace
// directives of that module's go.mod:
//
//	CGO_ENABLED=0 go build -mod=mod github.com/elastic/beats/v7/filebeat
//
// LOKI and PROMTAIL are built in a module that requires github.com/grafana/loki@v1.6.1 and has the
// replace directives of that module's go.mod. That version is under the Apache License; later ones are
// under the AGPL. Its dependencies need newer versions of two others to run with current Go:
//
//	go get github.com/modern-go/reflect2@v1.0.2 github.com/json-iterator/go@v1.1.12
//	CGO_ENABLED=0 go build -mod=mod github.com/grafana/loki/cmd/loki github.com/grafana/loki/cmd/promtail
//
// CHDB is a directory in which npm install chdb@3.4.0 was run, which has ClickHouse's engine.
package programs

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
	"github.com/logstreamer/logstreamer/test/ports"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

const messages = 2000

// program returns the path in a variable of the environment, or skips the test.
func program(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skip(variable + " names no program")
	}
	return path
}

// start starts a program, which ends with the test.
func start(t *testing.T, path string, args ...string) *exec.Cmd {
	t.Helper()
	var output bytes.Buffer
	command := exec.Command(path, args...)
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
		if t.Failed() {
			t.Logf("%s: %s", filepath.Base(path), output.String())
		}
	})
	return command
}

// addresses returns that many free addresses.
func addresses(t *testing.T, n int) (all []string) {
	t.Helper()
	free, err := ports.Free(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range free {
		all = append(all, fmt.Sprintf("127.0.0.1:%d", port))
	}
	return all
}

// awaitListener waits until an address accepts connections.
func awaitListener(d *harness.Distributor, address string) {
	d.Helper()
	d.Await(address+" accepts connections", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// telemetrygen's records, which differ only in their times, arrive once. It ends when a request
// fails for good, which over HTTP is a request whose connection is refused.
func TestTelemetrygen(t *testing.T) {
	path := program(t, "TELEMETRYGEN")
	for _, protocol := range []string{"http", "grpc"} {
		for _, happens := range harness.Disturbances() {
			t.Run(protocol+"/"+happens.Name, func(t *testing.T) {
				t.Parallel()
				d := harness.Start(t, []string{"otlp-http", "otlp-grpc"}, happens.Env...)
				before := time.Now().UnixNano()
				args := []string{
					"logs", "--otlp-insecure", "--logs", fmt.Sprint(messages), "--rate", "1000", "--batch-size", "50", "--timeout", "1m",
					"--service", "shop", "--body", "it is late", "--severity-number", "13", "--severity-text", "Warn",
					"--otlp-attributes", `host.name="web-1"`, "--telemetry-attributes", "tries=3", "--otlp-endpoint", d.Addresses["otlp-"+protocol],
				}
				if protocol == "http" {
					args = append(args, "--otlp-http")
				}
				generating := start(t, path, args...)
				d.Await("half of the records arrive", func() bool { return len(d.Analyzer.Messages()) >= messages/2 })
				happens.Happen(d)
				if err := generating.Wait(); err != nil && (protocol == "grpc" || happens.Name != "killed") {
					t.Errorf("telemetrygen: %v", err)
				}
				lossy := protocol == "http" && happens.Name == "killed"
				if !lossy {
					d.Await("all records arrive", func() bool { return len(d.Analyzer.Messages()) >= messages })
				}
				d.Stop()
				checkGenerated(t, d, before, lossy)
			})
		}
	}
}

func checkGenerated(t *testing.T, d *harness.Distributor, before int64, lossy bool) {
	t.Helper()
	times := make(map[string]bool)
	for _, m := range d.Analyzer.Messages() {
		nanoseconds, err := strconv.ParseInt(m.Metadata["time_unix_nano"], 10, 64)
		if err != nil {
			nanoseconds = m.Timestamp * 1e6
		}
		if m.EmitterID != "shop/web-1" || m.Level != "WARN" || m.Text != "it is late" || m.Metadata["severity_text"] != "Warn" ||
			m.Types["tries"] != "i" || nanoseconds < before || nanoseconds > time.Now().UnixNano() || m.Timestamp != nanoseconds/1e6 {
			t.Fatalf("%+v", m)
		}
		times[fmt.Sprint(nanoseconds)] = true
	}
	arrived := len(d.Analyzer.Messages())
	t.Logf("%d of %d arrived, %d twice", len(times), messages, arrived-len(times))
	if arrived != len(times) || arrived != messages && !lossy {
		t.Errorf("%d records arrived, %d different ones", arrived, len(times))
	}
}
