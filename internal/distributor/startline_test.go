package distributor

import (
	"encoding/json"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
)

// The start line has the version, the journal, the data directory, the analyzers and the
// addresses.
func TestStartLine(t *testing.T) {
	var log strings.Builder
	t.Chdir(t.TempDir())
	config := quick(t, Target{ID: "eu", URL: "http://127.0.0.1:1", Weight: 0.75}, Target{ID: "us.example.com", URL: "http://127.0.0.1:2", Weight: 0.25})
	config.Version, config.DataDir = "v1.2.3", "somewhere"
	d, err := New(config, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo})))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop(t.Context()) //nolint:errcheck // not what is tested
	d.logStart()
	var line struct {
		Version   string
		Ingest    string
		Metrics   string
		Journal   string
		Dir       string `json:"data_dir"`
		Analyzers map[string]float64
	}
	if err := json.Unmarshal([]byte(log.String()), &line); err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	if line.Version != "v1.2.3" || line.Journal != "memory" || line.Ingest != d.Addr() || line.Metrics != d.MetricsAddr() {
		t.Errorf("%+v", line)
	}
	if !filepath.IsAbs(line.Dir) || filepath.Base(line.Dir) != "somewhere" {
		t.Errorf("DATA_DIR %q", line.Dir)
	}
	if len(line.Analyzers) != 2 || line.Analyzers["eu"] != 0.75 || line.Analyzers["us.example.com"] != 0.25 {
		t.Errorf("analyzers %v", line.Analyzers)
	}
}
