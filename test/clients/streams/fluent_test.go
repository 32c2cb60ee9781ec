package streams

import (
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/fluent/fluent-logger-golang/fluent"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

const messages = 2000

// texts are numbered messages.
func texts() (all []string) {
	for n := range messages {
		all = append(all, fmt.Sprint("m-", n))
	}
	return all
}

func newFluent(d *harness.Distributor) *fluent.Fluent {
	d.Helper()
	host, port, err := net.SplitHostPort(d.Addresses["forward"])
	if err != nil {
		d.Fatal(err)
	}
	number, _ := strconv.Atoi(port)
	logger, err := fluent.New(fluent.Config{
		FluentHost: host, FluentPort: number, RequestAck: true, SubSecondPrecision: true, MaxRetry: 1000, RetryWait: 10, MaxRetryWait: 100,
		Timeout: 5 * time.Second, WriteTimeout: 5 * time.Second, ReadTimeout: 40 * time.Second,
	})
	if err != nil {
		d.Fatal(err)
	}
	return logger
}

// fluent-logger-golang waits for acknowledgements: no event is lost while the analyzer hangs, nor
// when the queues are full or the distributor is killed, and none is delivered twice.
func TestFluentLogger(t *testing.T) {
	for _, happens := range harness.Disturbances() {
		t.Run(happens.Name, func(t *testing.T) {
			t.Parallel()
			d := harness.Start(t, []string{"forward"}, happens.Env...)
			logger := newFluent(d)
			defer logger.Close()
			start := time.Now()
			all := texts()
			for n, text := range all {
				if n == messages/2 {
					happens.Happen(d)
				}
				if err := logger.PostWithTime("app.web", start, map[string]any{"message": text, "level": "error", "host": "web-1"}); err != nil {
					t.Fatal(err)
				}
			}
			d.Analyzer.AwaitOnce(t, "m-", all)
			t.Logf("%d of %d arrived", len(d.Analyzer.Messages()), messages)
			m := d.Analyzer.Messages()[0]
			if m.EmitterID != "app.web/web-1" || m.Level != "ERROR" || m.Timestamp != start.UnixMilli() || m.Metadata["time_unix_nano"] != fmt.Sprint(start.UnixNano()) {
				t.Errorf("%+v", m)
			}
		})
	}
}
