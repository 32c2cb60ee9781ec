// Package readme tests README.md: every curl line works as pasted.
package readme

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

// example is a line of the README with the status that it documents.
type example struct{ line, status string }

var promise = regexp.MustCompile(`^(.*\bcurl .*\S)\s+# (\d{3})$`)

func examples(t *testing.T) []example {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []example
	for block := range strings.SplitSeq(string(text), "```sh\n") {
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			if m := promise.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
				found = append(found, example{m[1], m[2]})
			}
		}
	}
	return found
}

func TestCurlLinesWorkAsPasted(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	lines := examples(t)
	if len(lines) < 8 {
		t.Fatalf("the README has %d curl lines with a status, at least 8 were expected", len(lines))
	}
	d := system(t)
	there := strings.NewReplacer("localhost:8080", d.Addr(), "localhost:9100", d.MetricsAddr())
	for _, e := range lines {
		t.Run(e.line[:min(len(e.line), 60)], func(t *testing.T) {
			script := strings.Replace(there.Replace(e.line), "curl ", "curl -sS -m 10 -w '\\n%{http_code}' ", 1)
			out, err := exec.CommandContext(t.Context(), "bash", "-c", script).CombinedOutput()
			if err != nil || !strings.HasSuffix(string(out), "\n"+e.status) {
				t.Errorf("%s: %v, want status %s:\n%s", e.line, err, e.status, out)
			}
		})
	}
}

// system starts an analyzer and a distributor.
func system(t *testing.T) *distributor.Distributor {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	settings := analyzer.DefaultConfig()
	settings.Address = "127.0.0.1:0"
	a, err := analyzer.New(settings, analyzer.Dependencies{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	a.Start()
	config := distributor.DefaultConfig()
	config.Host, config.Port, config.MetricsListen, config.DataDir = "127.0.0.1", 0, "127.0.0.1:0", t.TempDir()
	config.Targets = []distributor.Target{{ID: "analyzer-1", URL: "http://" + a.Addr(), Weight: 1}}
	d, err := distributor.New(config, logger)
	if err != nil {
		t.Fatal(err)
	}
	d.Start(t.Context())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := a.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return d
}
