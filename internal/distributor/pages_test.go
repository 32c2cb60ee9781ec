package distributor

import (
	"bufio"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

func TestHealthPage(t *testing.T) {
	_, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	status, page := s.get(t, "/health")
	if status != 200 || page["status"] != "healthy" || page["healthy_analyzers"] != 3.0 || page["total_analyzers"] != 3.0 {
		t.Errorf("%d %v", status, page)
	}
	if _, err := time.Parse(time.RFC3339, page["timestamp"].(string)); err != nil || len(page) != 6 || page["state"] != "normal" {
		t.Errorf("%v: %v", page, err)
	}
}

// numberOf returns the number of one of three analyzers in a member of the page.
func numberOf(t *testing.T, page map[string]any, member, id string) float64 {
	t.Helper()
	byID, _ := page[member].(map[string]any)
	value, ok := byID[id].(float64)
	if !ok || len(byID) != 3 {
		t.Fatalf("%s is %v", member, page[member])
	}
	return value
}

func TestTotalsPage(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	_, page := s.get(t, "/metrics-json")
	for _, member := range []string{"packets_by_analyzer", "messages_by_analyzer", "queue_depth_by_analyzer"} {
		for _, target := range targets {
			if got := numberOf(t, page, member, target.ID); got != 0 {
				t.Errorf("%s of %s is %v before the first packet", member, target.ID, got)
			}
		}
	}
	if _, err := time.Parse(time.RFC3339, page["timestamp"].(string)); err != nil {
		t.Error(err)
	}

	// The first analyzer fails, so that its packets move to the others.
	analyzers[0].Behave(analyzertest.Behaviour{Status: 500})
	for range 60 {
		s.send(5)
	}
	until(t, "all is delivered", func() bool { return s.Status().Delivered.Packets == 60 })
	_, page = s.get(t, "/metrics-json")
	if page["total_packets"] != 60.0 || page["total_messages"] != 300.0 || page["healthy_analyzers"].(float64) > 3 || page["total_analyzers"] != 3.0 {
		t.Errorf("%v", page)
	}
	packets, messages := 0.0, 0.0
	for i, target := range targets {
		got := numberOf(t, page, "packets_by_analyzer", target.ID)
		if want := float64(takenBy(analyzers[i])); got != want {
			t.Errorf("%s took %v packets, and the page says %v", target.ID, want, got)
		}
		packets += got
		messages += numberOf(t, page, "messages_by_analyzer", target.ID)
	}
	if packets != 60 || messages != 300 {
		t.Errorf("the analyzers have %v packets and %v messages together", packets, messages)
	}
	seen := s.scrape(t)
	if seen["distributor_rerouted_packets_total{from=analyzer-1}"] == 0 {
		t.Error("no packet was counted as routed again")
	}
}

func TestOtherPages(t *testing.T) {
	_, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	for _, test := range []struct {
		method, path string
		status       int
		allow, code  string
	}{
		{"GET", "/livez", 200, "", ""},
		{"GET", "/readyz", 200, "", ""},
		{"HEAD", "/health", 200, "", ""},
		{"GET", "/nothing", 404, "", "not_found"},
		{"POST", "/health", 405, "GET, HEAD", "method_not_allowed"},
		{"GET", "/ingest", 405, "POST", "method_not_allowed"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+s.Addr()+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := s.client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != test.status || response.Header.Get("Allow") != test.allow || !strings.Contains(string(body), test.code) {
			t.Errorf("%s %s answers %d %v %s", test.method, test.path, response.StatusCode, response.Header, body)
		}
	}
}

// Requests that are about the server, and not about a page.
func TestServerWideRequests(t *testing.T) {
	_, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	for request, want := range map[string]struct {
		status int
		allow  string
	}{
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n":              {204, "GET, HEAD, POST, OPTIONS"},
		"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n":      {405, "GET, HEAD, POST"},
		"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n":                {405, "GET, HEAD, PUT"},
		"GET http://x/livez HTTP/1.1\r\nHost: h\r\n\r\n":     {200, ""},
		"OPTIONS http://x/livez HTTP/1.1\r\nHost: h\r\n\r\n": {405, "GET, HEAD"},
	} {
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, request)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		_ = conn.Close()
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		if response.StatusCode != want.status || response.Header.Get("Allow") != want.allow {
			t.Errorf("%q: %d %v", request, response.StatusCode, response.Header)
		}
	}
}

// metricNames are the metrics that dashboards and alerts may use, with their labels.
const metricNames = `
distributor_total_packets_total
distributor_total_messages_total
distributor_packets_by_analyzer_total{analyzer}
distributor_messages_by_analyzer_total{analyzer}
distributor_queue_depth{analyzer}
distributor_healthy_analyzers
distributor_taken_out_analyzers
distributor_analyzer_ready{analyzer}
distributor_total_analyzers
distributor_rerouted_packets_total{from}
distributor_quarantined_packets
distributor_set_apart_packets
distributor_delivered_packets_total{analyzer}
distributor_delivered_messages_total{analyzer}
distributor_dead_lettered_packets_total{analyzer,reason}
distributor_dead_lettered_messages_total{analyzer,reason}
distributor_refused_packets_total{reason}
distributor_unaccounted_messages
distributor_share_target_ratio{analyzer}
distributor_share_effective_ratio{analyzer}
distributor_share_deviation_messages{analyzer}
distributor_share_deviation_limit_messages
distributor_share_bound_messages
distributor_analyzer_healthy{analyzer}
distributor_breaker_state{analyzer,state}
distributor_breaker_transitions_total{analyzer,to}
distributor_in_flight_packets{analyzer}
distributor_queue_limit_packets{analyzer}
distributor_send_requests_total{analyzer}
distributor_send_failures_total{analyzer,reason}
distributor_probes_total{analyzer,result}
distributor_send_duration_seconds{analyzer}
distributor_delivery_latency_seconds{analyzer}
distributor_ingest_duration_seconds
distributor_ingest_queue_packets
distributor_ingest_queue_messages
distributor_ingest_queue_limit_packets
distributor_memory_bytes
distributor_memory_limit_bytes
distributor_build_info{goversion,version}
`

func TestMetrics(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	analyzers[0].Behave(analyzertest.Behaviour{Status: 500}) // which makes the router choose another analyzer
	until(t, "packets move", func() bool {
		s.send(1)
		return s.scrape(t)["distributor_rerouted_packets_total{from=analyzer-1}"] > 0
	})
	problems, err := testutil.GatherAndLint(s.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if p.Metric != "distributor_total_packets_total" && p.Metric != "distributor_total_messages_total" {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, family := range families {
		var labels []string
		for _, l := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		signature := family.GetName()
		if len(labels) > 0 {
			signature += "{" + strings.Join(labels, ",") + "}"
		}
		got[signature] = family.GetHelp()
	}
	for want := range strings.FieldsSeq(metricNames) {
		if got[want] == "" {
			t.Errorf("there is no %s, or it has no help", want)
		}
	}
	if t.Failed() {
		t.Log(slices.Sorted(maps.Keys(got)))
	}
	for _, reason := range []string{
		"malformed", "invalid_packet", "not_found", "method_not_allowed", "slow_request", "too_large",
		"unsupported_encoding", "rate_limited", "no_analyzer", "overloaded", "draining", "journal_unwritable", "shed",
	} {
		if _, ok := s.scrape(t)["distributor_refused_packets_total{reason="+reason+"}"]; !ok {
			t.Errorf("refusals for %s are not counted from the start", reason)
		}
	}
}

// INGEST_BUFFER_SIZE limits the memory journal only: with a disk journal there is no such
// metric.
func TestQueueLimitIsThatOfTheMemoryJournal(t *testing.T) {
	_, targets := threeScripted(t)
	for _, kind := range []string{JournalMemory, JournalDisk} {
		config := quick(t, targets...)
		config.Journal = kind
		_, shown := startSystem(t, config).scrape(t)["distributor_ingest_queue_limit_packets"]
		if shown != (kind == JournalMemory) {
			t.Errorf("JOURNAL=%s: the limit is shown: %v", kind, shown)
		}
	}
}

// The endpoint serves the process metrics, too.
func TestMetricsEndpoint(t *testing.T) {
	_, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	response, err := s.client.Get("http://" + s.MetricsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || response.StatusCode != 200 {
		t.Fatal(response.Status, err)
	}
	for _, name := range []string{"go_goroutines", "process_cpu_seconds_total", "distributor_unaccounted_messages"} {
		if !regexp.MustCompile(`(?m)^` + name + ` `).Match(text) {
			t.Errorf("there is no %s", name)
		}
	}
}

// Two distributors in one process are independent.
func TestTwoDistributors(t *testing.T) {
	analyzers, targets := threeScripted(t)
	one, two := startSystem(t, quick(t, targets[0])), startSystem(t, quick(t, targets[1]))
	for range 10 {
		one.send(1)
	}
	two.send(1)
	one.stop(t)
	two.stop(t)
	if one.Status().Accepted.Packets != 10 || two.Status().Accepted.Packets != 1 {
		t.Errorf("the distributors accepted %v and %v", one.Status().Accepted, two.Status().Accepted)
	}
	if takenBy(analyzers[0]) != 10 || takenBy(analyzers[1]) != 1 {
		t.Errorf("the analyzers took %d and %d", takenBy(analyzers[0]), takenBy(analyzers[1]))
	}
}

func TestAddressInUse(t *testing.T) {
	_, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	for name, change := range map[string]func(*Config){
		"PORT":         func(c *Config) { c.Port = s.ingestListener.Addr().(*net.TCPAddr).Port },
		"METRICS_ADDR": func(c *Config) { c.MetricsListen = s.MetricsAddr() },
	} {
		config := quick(t, targets...)
		change(&config)
		if _, err := New(config, s.logger); err == nil || !strings.Contains(err.Error(), name+": listen") {
			t.Errorf("%s is in use, and the error is %v", name, err)
		}
	}
}

func TestStopWithoutStart(t *testing.T) {
	_, targets := threeScripted(t)
	d, err := New(quick(t, targets...), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if left, err := d.Stop(t.Context()); left.Packets != 0 || err != nil {
		t.Errorf("%v, %v", left, err)
	}
}
