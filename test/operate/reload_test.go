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

// brokenFile is a file that cannot be loaded, what its refusal names, and the members key and
// value of that.
type brokenFile struct{ text, names, key, value string }

func brokenFiles(good string) []brokenFile {
	return []brokenFile{
		{"analyzers: [", "c.yaml", "", ""}, // no YAML: it says where
		{"analyzers: []\n", "at least one analyzer", "analyzers", `""`},
		{good + "sender_timeout_ms: soon\n", "sender_timeout_ms", "sender_timeout_ms", `"soon"`},
		{good + "sender_timeout_ms: 0\n", "more than 0", "sender_timeout_ms", `0`},
		{good + "sender_timeuot_ms: 5\n", "did you mean sender_timeout_ms", "sender_timeuot_ms", ``},
		{good + "explain: \"off\"\n", "explain", "explain", `"off"`},
		{good + "dedupe_window_sec: 7\n", "dedupe_window_sec", "dedupe_window_sec", `7`},
		{good + "rate_burst: 7\n", "RATE_BURST", "rate_burst", `7`},
		{good + "analyzer_ca: /none\n", "ANALYZER_CA", "analyzer_ca", `"/none"`},
		{strings.Replace(good, "weight: 1", "weight: -1", 1), "weight", "weight", `-1`},
		{strings.Replace(good, "http:", "ftp:", 1), "ftp:", "url", ``}, // it may have a password
		{good + "shed: LOUD@1\n", "LOUD@1", "shed", `"LOUD@1"`},
	}
}

// Under load each of a dozen broken files is refused with what is wrong, nothing changes, and
// metric and event say so. The file that is mended after them applies.
func TestBrokenReloads(t *testing.T) {
	a := analyzertest.New(t)
	file := filepath.Join(t.TempDir(), "c.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := fmt.Sprintf("analyzers: [{id: a1, url: '%s', weight: 1}]\n", a.URL())
	write(good)
	d := start(t, "", "-config", file, "-journal", "disk")
	l := startLoad(t, d.ingest, 8)
	weight := func() float64 {
		t.Helper()
		var list struct {
			Analyzers []struct{ Spec struct{ Weight float64 } }
		}
		if status, err := d.request(http.MethodGet, "/v1/analyzers", "", &list); err != nil || status != http.StatusOK || len(list.Analyzers) != 1 {
			t.Fatalf("%d, %v, %+v", status, err, list)
		}
		return list.Analyzers[0].Spec.Weight
	}
	for i, broken := range brokenFiles(good) {
		write(strings.ReplaceAll(broken.text, "weight: 1}", "weight: 9}"))
		d.signal(syscall.SIGHUP)
		d.awaitLog(notReloaded, 2*i+1)
		lines := strings.Split(d.logged(), "\n")
		refused := ""
		for _, line := range lines {
			if strings.Contains(line, "was not reloaded") {
				refused = line
			}
		}
		if !strings.Contains(refused, broken.names) {
			t.Errorf("%q is refused with\n%s\nwant %s", broken.text, refused, broken.names)
		}
		if got := weight(); got != 1 {
			t.Errorf("%q gave the weight %g", broken.text, got)
		}
		d.wantMetric("distributor_config_last_reload_successful 0")
		var problem struct {
			Key, Allowed string
			Value        json.RawMessage
		}
		status, err := d.refusal(http.MethodPost, "/v1/reload", &problem)
		if err != nil || status != http.StatusUnprocessableEntity && status != http.StatusConflict ||
			problem.Key != broken.key || string(problem.Value) != broken.value || (problem.Allowed == "") != (broken.key == "") {
			t.Errorf("%q is refused with %d %+v %s, %v", broken.text, status, problem, problem.Value, err)
		}
		l.awaitMore(20)
	}
	var log struct {
		Events []struct{ Kind, Result string }
	}
	if _, err := d.request(http.MethodGet, "/v1/events?after=0", "", &log); err != nil || len(log.Events) != 24 || log.Events[23].Kind != "reload" || log.Events[23].Result != "refused" {
		t.Errorf("%v, events %+v", err, log.Events)
	}
	write(strings.Replace(good, "weight: 1", "weight: 2", 1))
	d.signal(syscall.SIGHUP)
	d.awaitLog("configuration reloaded", 1)
	if got := weight(); got != 2 {
		t.Errorf("the mended file gave the weight %g", got)
	}
	d.wantMetric("distributor_config_last_reload_successful 1")
	l.end(a)
}
