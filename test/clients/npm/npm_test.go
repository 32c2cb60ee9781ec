// Package npm tests the inputs with real clients of Node.js: npm ci, then go test. Without node or
// the packages the tests are skipped.
package npm

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

const messages = 2000

// client is a client of Node.js.
type client struct {
	name    string
	input   string // with a socket of its own, or none
	env     []string
	emitter string
	// lossy are the disturbances in which the client loses messages that the distributor has not
	// acknowledged, or sends messages again in a way that is not recognised.
	lossy string
}

var clients = []client{
	{name: "otel-http"},
	{name: "otel-proto"},
	{name: "otel-grpc", input: "otlp-grpc", lossy: "full killed"},
	{name: "pino-loki", lossy: "full killed"},
	{name: "winston-loki"},
	{name: "winston-loki-json"},
	{name: "fluent-logger", input: "forward", env: []string{"FORWARD_SHARED_KEY=secret"}, emitter: "app.web/web-1", lossy: "killed upgraded"},
	{name: "fluent-logger-packed", input: "forward", env: []string{"FORWARD_SHARED_KEY=secret"}, emitter: "app.web/web-1", lossy: "killed upgraded"},
	{name: "fluent-org", input: "forward", emitter: "app.web/web-1", lossy: "killed"},
	{name: "elasticsearch"},
	{name: "pino-elasticsearch"},
	{name: "winston-elasticsearch", lossy: "killed"},
	{name: "splunk"},
	{name: "gelf-udp", input: "gelf-udp", lossy: "full killed"},
	{name: "graygelf", input: "gelf-udp", lossy: "full killed"},
	{name: "gelf-tcp", input: "gelf-tcp", lossy: "killed"},
	{name: "datadog", lossy: "killed"},
}

func TestClients(t *testing.T) {
	needPackages(t)
	for _, c := range clients {
		for _, happens := range harness.Disturbances() {
			t.Run(c.name+"/"+happens.Name, func(t *testing.T) {
				t.Parallel()
				c.run(t, happens)
			})
		}
	}
}

func needPackages(t *testing.T) {
	t.Helper()
	for _, needed := range []string{"node", "npm"} {
		if _, err := exec.LookPath(needed); err != nil {
			t.Skip(needed + " is not installed")
		}
	}
	if _, err := os.Stat("node_modules"); err != nil {
		t.Skip("the packages are not installed: npm ci")
	}
}

func (c client) run(t *testing.T, happens harness.Disturbance) {
	var inputs []string
	if c.input != "" {
		inputs = []string{c.input}
	}
	d := harness.Start(t, inputs, append(c.env, happens.Env...)...)
	address := d.Addresses[c.input]
	if address == "" {
		address = strings.TrimPrefix(d.URL, "http://")
	}
	start := time.Now().Add(-time.Hour).UnixMilli()
	told := c.send(t, d, address, start, happens.Happen)
	defer func() {
		counts := d.Analyzer.Counts("m-")
		t.Logf("%d of %d arrived, %d twice; the client told %s", len(counts), messages, len(d.Analyzer.Messages())-len(counts), told)
	}()
	texts := make([]string, messages)
	for n := range texts {
		texts[n] = fmt.Sprint("m-", n)
	}
	switch {
	case strings.Contains(c.lossy, happens.Name):
		d.Stop()
	default:
		d.Analyzer.AwaitOnce(t, "m-", texts)
	}
	c.check(t, d, start)
}

// send runs the client, disturbs it in the middle, and returns its output at the end.
func (c client) send(t *testing.T, d *harness.Distributor, address string, start int64, happen func(*harness.Distributor), more ...string) (told string) {
	t.Helper()
	var failure bytes.Buffer
	args := append([]string{"send.mjs", c.name, d.URL, address, fmt.Sprint(start), fmt.Sprint(messages)}, more...)
	command := exec.CommandContext(t.Context(), "node", args...)
	command.Stderr = &failure
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if told = lines.Text(); told == "half" {
			happen(d)
		}
	}
	if err := command.Wait(); err != nil {
		t.Fatalf("node: %v: %s", err, failure.Bytes())
	}
	return told
}

// check checks the fields of a message beside the text.
func (c client) check(t *testing.T, d *harness.Distributor, start int64) {
	t.Helper()
	emitter := c.emitter
	if emitter == "" {
		emitter = "shop/web-1"
	}
	for _, m := range d.Analyzer.Messages() {
		var n int64
		if _, err := fmt.Sscanf(m.Text, "m-%d", &n); err != nil || m.EmitterID != emitter || m.Level != "ERROR" || m.Timestamp != start+n {
			t.Fatalf("started at %d, got %+v", start, m)
		}
	}
}
