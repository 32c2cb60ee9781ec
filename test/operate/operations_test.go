//go:build linux

package operate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// operator makes random changes of the analyzers b1 to b4 through the admin API. Nothing changes
// u1 and u2.
type operator struct {
	*distributor
	random    *rand.Rand
	file      string
	analyzers []*analyzertest.Analyzer // u1, u2, b1 to b4
	made      map[string]int
}

// write writes the configuration file: b1 has a weight, and the others have their initial state.
func (o *operator) write(weight float64) {
	o.Helper()
	text := "slow_start_sec: 1\nhealth_check_interval_sec: 1\nsender_timeout_ms: 30000\nhealth_check_timeout_sec: 30\nanalyzers:\n"
	for i, weight := range []float64{1, 2, weight, 0.5} {
		text += fmt.Sprintf("- {id: %s, url: '%s', weight: %g}\n", []string{"u1", "u2", "b1", "b2"}[i], o.analyzers[i].URL(), weight)
	}
	if err := os.WriteFile(o.file, []byte(text), 0o600); err != nil {
		o.Fatal(err)
	}
}

// operation makes a random change, and reports whether it was made. An existing analyzer cannot be
// added, and a missing one cannot be changed: no other change may be refused.
func (o *operator) operation() (made bool) {
	o.Helper()
	n := o.random.IntN(4)
	path, weight := fmt.Sprint("/v1/analyzers/b", n+1), 0.05+o.random.Float64()
	deadline := time.Duration(o.random.IntN(500)) * time.Millisecond
	ttl := []string{"", `,"ttl":"200ms"`}[o.random.IntN(2)]
	kind := []string{"weight", "drain", "maint", "ready", "add", "remove", "breaker", "reload", "setting"}[o.random.IntN(9)]
	method, body := http.MethodPatch, ""
	switch kind {
	case "weight":
		body = fmt.Sprintf(`{"weight":%g%s}`, weight, ttl)
	case "drain", "maint":
		body = fmt.Sprintf(`{"state":%q,"deadline":"%v"%s}`, kind, deadline, ttl)
	case "ready":
		body = `{"state":"ready"}`
	case "add":
		method, path, body = http.MethodPost, "/v1/analyzers", fmt.Sprintf(`{"id":"b%d","url":%q,"weight":%g%s}`, n+1, o.analyzers[2+n].URL(), weight, ttl)
	case "remove":
		method, path = http.MethodDelete, fmt.Sprintf("%s?deadline=%v", path, deadline)
	case "breaker":
		method, path, body = http.MethodPost, path+"/breaker", []string{`{"action":"open","ttl":"300ms"}`, `{"action":"reset"}`}[o.random.IntN(2)]
	case "reload":
		o.write(weight)
		method, path = http.MethodPost, "/v1/reload"
	case "setting":
		path, body = "/v1/settings", fmt.Sprintf(`{"sender_concurrency":%d%s}`, 1+o.random.IntN(16), ttl)
	}
	status, err := o.request(method, path, body, new(any))
	if err != nil || status >= 300 && status != http.StatusNotFound && (status != http.StatusConflict || kind != "add") && (status != http.StatusUnprocessableEntity || kind != "add") {
		o.Errorf("%s %s %s: %d, %v", method, path, body, status, err)
	}
	if status < 300 {
		o.made[kind]++
	}
	return status < 300
}

// scrape checks that no message is unaccounted for, and that each analyzer is within the bound of
// its share. It returns the messages of u1 and u2, and the bound.
func (o *operator) scrape() (u1, u2, bound float64) {
	o.Helper()
	values := make(map[string]float64)
	for line := range strings.Lines(o.get("http://" + o.metrics + "/metrics")) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil && !strings.HasPrefix(name, "#") {
			values[name] = value
		}
	}
	if lost := values["distributor_unaccounted_messages"]; lost != 0 {
		o.Errorf("%g messages are not accounted for", lost)
	}
	bound = values["distributor_share_deviation_limit_messages"]
	for name, value := range values {
		if strings.HasPrefix(name, "distributor_share_deviation_messages{") && math.Abs(value) > bound+1e-6 {
			o.Errorf("%s is %g, the bound is %g", name, value, bound)
		}
	}
	for _, id := range []string{"u1", "u2"} {
		if values[fmt.Sprintf("distributor_analyzer_healthy{analyzer=%q}", id)] != 1 {
			o.Errorf("%s, which nobody touched, is not healthy", id)
		}
	}
	return values[`distributor_messages_by_analyzer_total{analyzer="u1"}`], values[`distributor_messages_by_analyzer_total{analyzer="u2"}`], bound
}

// proofs checks that each drain accounts for the packets that were held.
func (o *operator) proofs() (drains int) {
	o.Helper()
	type volume struct{ Packets, Messages int64 }
	var log struct {
		Events []struct {
			Kind   string
			Detail struct {
				Operation, Result string
				Proof             struct {
					Result                                      string
					Held                                        volume
					Delivered, Rerouted, Remaining, Unaccounted int64
					DeadLettered                                int64 `json:"dead_lettered"`
					RoutedSince                                 int64 `json:"routed_since"`
				}
			}
		}
	}
	if status, err := o.request(http.MethodGet, "/v1/events?limit=10000", "", &log); err != nil || status != http.StatusOK {
		o.Fatal(status, err)
	}
	results := make(map[string]int)
	for _, e := range log.Events {
		if e.Kind != "drained" {
			continue
		}
		p := e.Detail.Proof
		results[e.Detail.Result]++
		if p.Unaccounted != 0 || p.Held.Packets+p.RoutedSince != p.Delivered+p.Rerouted+p.DeadLettered+p.Remaining {
			o.Errorf("the proof of %s: %+v", e.Detail.Operation, e.Detail)
		}
		drains++
	}
	o.Logf("drains: %v", results)
	return drains
}

// Under load of packets of 1 to 100 messages random changes cause no lost and no refused packet,
// all messages are accounted for, every drain's proof adds up, and at every scrape the shares, also
// those of the unchanged analyzers, are within the bound.
func TestOperationsUnderLoad(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	o := &operator{distributor: &distributor{T: t}, random: rand.New(rand.NewPCG(seed, 1)), file: filepath.Join(t.TempDir(), "c.yaml"), made: make(map[string]int)}
	for range 6 {
		o.analyzers = append(o.analyzers, analyzertest.New(t))
	}
	o.write(0.5)
	o.distributor = start(t, "", "-config", o.file, "-journal", "disk")
	l := (&load{T: t, messages: 100, dial: func() (net.Conn, error) { return net.Dial("tcp", o.ingest) }}).start(8)
	await(t, "the slow start is over", func() bool {
		var status struct {
			Analyzers []struct{ Status struct{ Ramp float64 } }
		}
		_, err := o.request(http.MethodGet, "/v1/analyzers", "", &status)
		ready := err == nil && len(status.Analyzers) == 4
		for _, one := range status.Analyzers {
			ready = ready && one.Status.Ramp == 1
		}
		return ready
	})
	first1, first2, most := o.scrape()
	operations, began := times(40, 200), time.Now()
	for i := range operations {
		for !o.operation() {
		}
		l.awaitMore(10)
		u1, u2, bound := o.scrape()
		// Each share is within its bound, which is twice as large for u2.
		if most = max(most, bound); math.Abs((u2-first2)-2*(u1-first1)) > 2*3*most {
			t.Errorf("after %d changes u1 has got %g messages, and u2, whose weight is twice as large, %g; the bound is %g", i+1, u1-first1, u2-first2, most)
		}
		if *judge { // within a minute
			time.Sleep(time.Until(began.Add(time.Duration(i+1) * time.Minute / time.Duration(operations))))
		}
	}
	took := time.Since(began)
	l.end(o.analyzers...)
	u1, u2, _ := o.scrape()
	t.Logf("%d changes in %v: %v; u1 has got %g messages, u2 %g; %d drains", operations, took.Round(time.Millisecond), o.made, u1-first1, u2-first2, o.proofs())
	o.stop()
}
