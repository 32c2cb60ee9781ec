package programs

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// The documents of the bulk indexer of Elasticsearch's client for Go, which is configured to retry
// after 429, arrive once in each disturbance.
func TestBulkIndexer(t *testing.T) {
	path := program(t, "BULKINDEXER")
	for _, happens := range harness.Disturbances() {
		t.Run(happens.Name, func(t *testing.T) {
			t.Parallel()
			output := runClient(t, path, happens)
			if want := fmt.Sprint(messages, " created, 0 failed"); output != want {
				t.Errorf("the client says %q", output)
			}
		})
	}
}

// runClient makes a client send numbered messages: PROGRAM URL TIME COUNT. Each must arrive once,
// with its level, time and emitter. It returns the last line that the client prints.
func runClient(t *testing.T, path string, happens harness.Disturbance) (last string) {
	t.Helper()
	d := harness.Start(t, nil, happens.Env...)
	begin := time.Now().UnixMilli()
	last = sendUntilHalf(t, d, happens, exec.Command(path, d.URL, fmt.Sprint(begin), fmt.Sprint(messages)))
	texts := make([]string, messages)
	for n := range texts {
		texts[n] = fmt.Sprint("m-", n)
	}
	d.Analyzer.AwaitOnce(t, "m-", texts)
	t.Logf("%d of %d arrived", len(d.Analyzer.Messages()), messages)
	for _, m := range d.Analyzer.Messages() {
		var n int64
		if _, err := fmt.Sscanf(m.Text, "m-%d", &n); err != nil || m.EmitterID != "shop/web-1" || m.Level != "ERROR" || m.Timestamp != begin+n {
			t.Fatalf("%+v", m)
		}
	}
	return last
}

// sendUntilHalf runs a client, disturbs it when it prints "half", and returns the last line that it
// prints.
func sendUntilHalf(t *testing.T, d *harness.Distributor, happens harness.Disturbance, client *exec.Cmd) (last string) {
	t.Helper()
	var failures bytes.Buffer
	client.Stderr = &failures
	output, err := client.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if last = lines.Text(); last == "half" {
			happens.Happen(d)
		}
	}
	if err := client.Wait(); err != nil || failures.Len() > 0 {
		t.Errorf("the client: %v: %s", err, failures.Bytes())
	}
	return last
}
