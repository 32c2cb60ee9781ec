//go:build linux

package operate

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// brokenFile is a file that cannot be loaded, the text that its refusal contains, and the refusal's
// members key and value.
type brokenFile struct{ text, names, key, value string }

func brokenFiles(good string) []brokenFile {
	return []brokenFile{
		{"analyzers: [", "c.yaml", "", ""}, // not YAML: the refusal has the position
		{"analyzers: []\n", "at least one analyzer", "analyzers", `""`},
		{good + "sender_timeout_ms: soon\n", "sender_timeout_ms", "sender_timeout_ms", `"soon"`},
		{good + "sender_timeout_ms: 0\n", "more than 0", "sender_timeout_ms", `0`},
		{good + "sender_timeuot_ms: 5\n", "did you mean sender_timeout_ms", "sender_timeuot_ms", ``},
		{good + "explain: \"off\"\n", "explain", "explain", `"off"`},
		{good + "dedupe_window_sec: 7\n", "dedupe_window_sec", "dedupe_window_sec", `7`},
		{good + "rate_burst: 7\n", "RATE_BURST", "rate_burst", `7`},
		{good + "analyzer_ca: /none\n", "ANALYZER_CA", "analyzer_ca", `"/none"`},
		{strings.Replace(good, "weight: 1", "weight: -1", 1), "weight", "weight", `-1`},
		{strings.Replace(good, "http:", "ftp:", 1), "ftp:", "url", ``}, // the value may have a password
		{good + "shed: LOUD@1\n", "LOUD@1", "shed", `"LOUD@1"`},
	}
}

// reloads is a distributor under load, and its configuration file.
type reloads struct {
	*distributor
	file string
}

func (r *reloads) write(text string) {
	r.Helper()
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

// weight returns the weight of the analyzer.
func (r *reloads) weight() float64 {
	r.Helper()
	var list struct {
		Analyzers []struct{ Spec struct{ Weight float64 } }
	}
	if status, err := r.request(http.MethodGet, "/v1/analyzers", "", &list); err != nil || status != http.StatusOK || len(list.Analyzers) != 1 {
		r.Fatalf("%d, %v, %+v", status, err, list)
	}
	return list.Analyzers[0].Spec.Weight
}

// checkRefused checks that a broken file, the number-th one, changes nothing: neither with
// SIGHUP nor with the admin API.
func (r *reloads) checkRefused(broken brokenFile, number int) {
	r.Helper()
	r.write(strings.ReplaceAll(broken.text, "weight: 1}", "weight: 9}"))
	r.signal(syscall.SIGHUP)
	r.awaitLog(notReloaded, 2*number-1)
	refused := ""
	for line := range strings.Lines(r.logged()) {
		if strings.Contains(line, "was not reloaded") {
			refused = line
		}
	}
	if !strings.Contains(refused, broken.names) {
		r.Errorf("%q is refused with\n%s\nwant %s", broken.text, refused, broken.names)
	}
	if got := r.weight(); got != 1 {
		r.Errorf("%q gave the weight %g", broken.text, got)
	}
	r.wantMetric("distributor_config_last_reload_successful 0")
	var problem struct {
		Key, Allowed string
		Value        json.RawMessage
	}
	status, err := r.refusal(http.MethodPost, "/v1/reload", &problem)
	if err != nil || status != http.StatusUnprocessableEntity && status != http.StatusConflict ||
		problem.Key != broken.key || string(problem.Value) != broken.value || (problem.Allowed == "") != (broken.key == "") {
		r.Errorf("%q is refused with %d %+v %s, %v", broken.text, status, problem, problem.Value, err)
	}
}

// Under load each of a dozen broken files is refused with the reason, nothing changes, and a
// metric and an event report it. The corrected file applies.
func TestBrokenReloads(t *testing.T) {
	a := analyzertest.New(t)
	r := &reloads{&distributor{T: t}, filepath.Join(t.TempDir(), "c.yaml")}
	const patient = "max_failures: 1000\nhealth_check_timeout_sec: 60\n" // a busy machine must not make an analyzer unhealthy
	good := fmt.Sprintf(patient+"analyzers: [{id: a1, url: '%s', weight: 1}]\n", a.URL())
	r.write(good)
	r.distributor = start(t, "", "-config", r.file, "-journal", "disk")
	l := startLoad(t, r.ingest, 8)
	for i, broken := range brokenFiles(good) {
		r.checkRefused(broken, i+1)
		l.awaitMore(20)
	}
	var log struct {
		Events []struct{ Kind, Result string }
	}
	if _, err := r.request(http.MethodGet, "/v1/events?after=0", "", &log); err != nil || len(log.Events) != 24 || log.Events[23].Kind != "reload" || log.Events[23].Result != "refused" {
		t.Errorf("%v, events %+v", err, log.Events)
	}
	r.write(strings.Replace(good, "weight: 1", "weight: 2", 1))
	r.signal(syscall.SIGHUP)
	r.awaitLog("configuration reloaded", 1)
	if got := r.weight(); got != 2 {
		t.Errorf("the corrected file gave the weight %g", got)
	}
	r.wantMetric("distributor_config_last_reload_successful 1")
	l.end(a)
}
