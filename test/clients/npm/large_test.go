package npm

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// A message that is larger than a packet may be costs none of those that its client sends with it,
// and the client sends none of them again.
func TestLargeMessage(t *testing.T) {
	needPackages(t)
	const large = messages/2 + 10
	for _, name := range []string{"pino-loki", "winston-loki", "winston-loki-json", "splunk-batch", "elasticsearch", "datadog"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := harness.Start(t, nil, "MAX_BODY_BYTES=64KiB")
			start := time.Now().Add(-time.Hour).UnixMilli()
			c := client{name: name}
			told := c.send(t, d, strings.TrimPrefix(d.URL, "http://"), start, func(*harness.Distributor) {}, fmt.Sprint(large))
			texts := make([]string, messages)
			for n := range texts {
				texts[n] = fmt.Sprint("m-", n)
			}
			d.Analyzer.AwaitOnce(t, "m-", slices.Delete(texts, large, large+1))
			c.check(t, d, start)
			if n := d.Counter("distributor_input_rejected_records_total", `reason="too_large"`); n != 1 {
				t.Errorf("%v records were rejected; the client told %s", n, told)
			}
		})
	}
}
