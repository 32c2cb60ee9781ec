package monitoring_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/binary"
)

// TestLiveSystem runs the real programs under a real Prometheus and evaluates every documented
// expression: first while every process is healthy, then after an analyzer was killed.
func TestLiveSystem(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it starts the whole system, which takes about half a minute")
	}
	tool(t, "prometheus")
	journals := []string{"memory", "disk", "jetstream"}
	program, free := binary.New(t), freeAddresses(t, len(journals)*systemAddresses)
	for i, journal := range journals {
		t.Run(journal, func(t *testing.T) {
			t.Parallel() // each waits for scrapes most of the time
			checkLiveSystem(t, journal, program, free[i*systemAddresses:][:systemAddresses])
		})
	}
}

func checkLiveSystem(t *testing.T, journal, program string, free []string) {
	system := startLiveSystem(t, journal, program, free, environments{
		distributor: []string{"SENDER_TIMEOUT_MS=60000", "HEALTH_CHECK_TIMEOUT_SEC=60"}, // a busy machine must not make an analyzer unhealthy
		emitter:     []string{"RATE=50", "CONCURRENCY=4"},
	})
	system.awaitScrapes(t, 3)

	t.Run("metrics are lint clean", func(t *testing.T) { checkMetrics(t, system) })
	t.Run("rules evaluate", func(t *testing.T) {
		waitFor(t, "the evaluation of every rule", system.prometheus.rulesHealth)
	})
	t.Run("alerts are silent while all is well", func(t *testing.T) { checkNoAlerts(t, system) })
	t.Run("dashboard while all is well", func(t *testing.T) { checkDashboard(t, system, journal) })
	t.Run("dashboard's overrides", func(t *testing.T) { checkOverrides(t, system, journal) })

	system.analyzers[2].kill()
	system.awaitData(t, `distributor_analyzer_healthy{analyzer="analyzer-3"} == 0`)
	system.awaitData(t, `rate(distributor_rerouted_packets_total{from="analyzer-3"}[5s])`)

	t.Run("dashboard after a death", func(t *testing.T) { checkDashboard(t, system, journal) })
	t.Run("README", func(t *testing.T) {
		for _, expression := range readmeExpressions(t) {
			checkReturnsData(t, system, expression)
		}
	})
	t.Run("alerts after a death", func(t *testing.T) { checkAlertsAfterDeath(t, system) })
	t.Run("names", func(t *testing.T) { checkNames(t, system, journal) })
}

// checkNoAlerts checks that no alert's expression has samples, without its duration. The expression of
// DeliveryLatencyHigh may have some: a busy machine delivers late. alerts_test.yml checks when it fires.
func checkNoAlerts(t *testing.T, system liveSystem) {
	for _, a := range readAlerts(t) {
		samples, err := system.prometheus.query(a.Expr)
		if err != nil || len(samples) > 0 && a.Alert != "DeliveryLatencyHigh" {
			t.Errorf("%s: %v %v", a.Alert, samples, err)
		}
	}
}

// checkAlertsAfterDeath checks that AnalyzerDown fires for the killed analyzer, and that no
// critical alert fires.
func checkAlertsAfterDeath(t *testing.T, system liveSystem) {
	for _, a := range readAlerts(t) {
		samples, err := system.prometheus.query(a.Expr)
		if err != nil {
			t.Errorf("%s: %v", a.Alert, err)
		}
		if a.Alert == "AnalyzerDown" && (len(samples) != 1 || samples[0].Metric["analyzer"] != "analyzer-3") {
			t.Errorf("%s: %v, want analyzer-3", a.Alert, samples)
		}
		if a.Labels["severity"] == "critical" && len(samples) > 0 {
			t.Errorf("%s: %v", a.Alert, samples)
		}
	}
}

// checkDashboard checks every graph that this journal has data for.
func checkDashboard(t *testing.T, system liveSystem, journal string) {
	for _, p := range readDashboard(t).graphs() {
		for _, target := range p.Targets {
			if exists(target.Expr, journal) {
				checkTarget(t, system, p, target)
			}
		}
	}
}

// checkMetrics lints the metrics of the distributor and an analyzer with
// promtool.
func checkMetrics(t *testing.T, system liveSystem) {
	promtool := tool(t, "promtool")
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, address := range system.metrics[:2] {
		response, err := client.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		check.Stdin = response.Body
		if output, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", address, err, output)
		}
	}
}

// checkTarget requires data with the labels of the legend.
func checkTarget(t *testing.T, system liveSystem, p panel, target target) {
	t.Helper()
	for _, sample := range checkReturnsData(t, system, target.Expr) {
		for _, label := range target.legendLabels() {
			if sample.Metric[label] == "" {
				t.Errorf("panel %q: the legend shows the label %q, which %v does not have", p.Title, label, sample)
			}
		}
	}
}

// checkOverrides requires a series for each override: an override without one has no effect, which
// is not visible.
func checkOverrides(t *testing.T, system liveSystem, journal string) {
	for _, p := range readDashboard(t).graphs() {
		found := make([]bool, len(p.FieldConfig.Overrides))
		for _, query := range p.Targets {
			samples, err := system.prometheus.query(inWindow(query.Expr))
			if err != nil {
				t.Errorf("%s: %v", query.Expr, err)
			}
			for i, o := range p.FieldConfig.Overrides {
				found[i] = found[i] || !exists(query.Expr, journal) || slices.ContainsFunc(samples, func(s sample) bool {
					return o.finds(t, query, query.seriesName(s.Metric))
				})
			}
		}
		if i := slices.Index(found, false); i >= 0 {
			t.Errorf("panel %q: no series for the override %+v", p.Title, p.FieldConfig.Overrides[i].Matcher)
		}
	}
}

// checkReturnsData requires at least one series with a number.
func checkReturnsData(t *testing.T, system liveSystem, expression string) []sample {
	t.Helper()
	samples, err := system.prometheus.query(inWindow(expression))
	if err != nil {
		t.Errorf("%s: %v", expression, err)
	} else if !slices.ContainsFunc(samples, sample.isNumber) {
		t.Errorf("%s returns no number: %v", expression, samples)
	}
	return samples
}

// inWindow replaces Grafana's variables: intervals by windows that suit the test's scrape interval,
// and the others by expressions that match every value.
func inWindow(expression string) string {
	return strings.NewReplacer("$__rate_interval", "10s", "$__range", "1m", "$job", ".*", "$instance", ".*", "$analyzer", ".*", "$alerts", ".*").Replace(expression)
}

var metricName = regexp.MustCompile(`\b(distributor|analyzer|process|go)_[a-z0-9_]+`)

// checkNames requires every named metric to exist: an expression on a missing metric is valid, and
// always empty.
func checkNames(t *testing.T, system liveSystem, journal string) {
	known, err := system.prometheus.metricNames()
	if err != nil {
		t.Fatal(err)
	}
	expressions := map[string][]string{"README": readmeExpressions(t)}
	for _, a := range readAlerts(t) {
		where := "alert " + a.Alert
		expressions[where] = append(expressions[where], a.Expr)
	}
	for _, p := range readDashboard(t).graphs() {
		where := fmt.Sprintf("panel %q", p.Title)
		for _, target := range p.Targets {
			expressions[where] = append(expressions[where], target.Expr)
		}
	}
	for where, list := range expressions {
		for _, name := range metricName.FindAllString(strings.Join(list, "\n"), -1) {
			if !known[name] && exists(name, journal) {
				t.Errorf("%s names %s, which does not exist", where, name)
			}
		}
	}
}

// exists reports whether an expression can have data: some metrics exist with one journal only.
func exists(expression, journal string) bool {
	for prefix, owner := range map[string]string{
		"distributor_journal_": "disk", "distributor_ingest_queue_limit_packets": "memory", "distributor_jetstream_": "jetstream",
	} {
		if owner != journal && strings.Contains(expression, prefix) {
			return false
		}
	}
	return true
}

var promqlBlock = regexp.MustCompile("(?s)```promql\n(.*?)```")

// readmeExpressions returns the lines of the README's promql blocks.
func readmeExpressions(t *testing.T) []string {
	t.Helper()
	var expressions []string
	for _, block := range promqlBlock.FindAllStringSubmatch(string(readFile(t, repository+"/README.md")), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
			if line != "" {
				expressions = append(expressions, line)
			}
		}
	}
	if len(expressions) == 0 {
		t.Error("README.md has no promql block")
	}
	return expressions
}
