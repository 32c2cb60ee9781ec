package analyzer

import (
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestTracesOfLines(t *testing.T) {
	for _, test := range []struct{ name, header, want string }{
		{"Traceparent", "a", "aaaaaaaa"},
		{"Traceparents", "2=a, 4-6=b, 8=c", "-a-bbb-c"},
		{"Traceparents", "4-6=b, 2=lost, 7-9=c", "---bbbcc"},
		{"Traceparents", "x", "--------"},
		{"Other", "a", "--------"},
	} {
		var r fasthttp.Request
		r.Header.Set(test.name, test.header)
		of, stop := traces(&r)
		var got strings.Builder
		for line := range len(test.want) {
			if trace := of(line + 1); len(trace) > 0 {
				got.Write(trace)
			} else {
				got.WriteByte('-')
			}
		}
		stop()
		if got.String() != test.want {
			t.Errorf("%s: %s: the lines have %s, want %s", test.name, test.header, got.String(), test.want)
		}
	}
}

func TestTracedPacketsAreCounted(t *testing.T) {
	a := started(t, nil)
	post(t, a, packetJSON("p-1", 1), "Traceparent", "00-1")
	post(t, a, packetJSON("p-2", 1))
	post(t, a, packetJSON("p-3", 1)+"\n\n"+packetJSON("p-4", 1)+"\n"+packetJSON("p-5", 1), "Content-Type", "application/x-ndjson", "Traceparents", "1=00-2, 4=00-3")
	if metrics := string(send(t, a, "GET", "/metrics", http.NoBody).body); !strings.Contains(metrics, "\nanalyzer_traced_packets_total 3\n") {
		t.Error("the metric analyzer_traced_packets_total is not 3")
	}
}
