//go:build linux

package operate

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// Under load each of ten broken files is refused with what is wrong, nothing changes, and
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
	for i, broken := range []struct{ text, names string }{
		{"analyzers: [", "c.yaml"},
		{"analyzers: []\n", "at least one analyzer"},
		{good + "sender_timeout_ms: soon\n", "sender_timeout_ms"},
		{good + "sender_timeout_ms: 0\n", "more than 0"},
		{good + "sender_timeuot_ms: 5\n", "did you mean sender_timeout_ms"},
		{good + "explain: \"off\"\n", "explain"},
		{good + "dedupe_window_sec: 7\n", "dedupe_window_sec"},
		{good + "rate_burst: 7\n", "RATE_BURST"},
		{strings.Replace(good, "weight: 1", "weight: -1", 1), "weight"},
		{strings.Replace(good, "http:", "ftp:", 1), "ftp:"},
	} {
		write(strings.ReplaceAll(broken.text, "weight: 1}", "weight: 9}"))
		d.signal(syscall.SIGHUP)
		d.awaitLog("the configuration was not reloaded, and nothing was changed", i+1)
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
		l.awaitMore(20)
	}
	var log struct {
		Events []struct{ Kind, Result string }
	}
	if _, err := d.request(http.MethodGet, "/v1/events?after=0", "", &log); err != nil || len(log.Events) != 10 || log.Events[9].Kind != "reload" || log.Events[9].Result != "refused" {
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
