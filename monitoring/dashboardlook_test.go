package monitoring_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	counter = regexp.MustCompile(`\b(?:distributor|analyzer|process)_[a-z0-9_]+_(?:total|bucket)\{[^}]*\}(\[)?`)
	limit   = regexp.MustCompile(`(/ *(?:sum|max)(?: by \([^)]*\))? *\()?distributor_[a-z0-9_]*_limit(?:_[a-z]+)?\{`)
	grouped = regexp.MustCompile(`\bby \(([^)]*)\)`)
)

// Counters grow until a restart, so panels show their rate or increase.
func TestDashboardShowsRatesOfCounters(t *testing.T) {
	for _, p := range readDashboard(t).graphs() {
		for _, target := range p.Targets {
			for _, found := range counter.FindAllStringSubmatch(target.Expr, -1) {
				if found[1] == "" {
					t.Errorf("panel %q shows a counter itself: %s", p.Title, target.Expr)
				}
			}
		}
	}
}

// A limit in the same graph flattens the limited value, so values are in percent of their limit.
// Two panels are about a limit.
func TestDashboardLimitsAreInPercent(t *testing.T) {
	aboutLimit := []string{"Deviation from the share, against its limit", "Desired, needed and present analyzers by group"}
	for _, p := range readDashboard(t).graphs() {
		for _, target := range p.Targets {
			for _, found := range limit.FindAllStringSubmatch(target.Expr, -1) {
				if isPart := found[1] != "" && p.FieldConfig.Defaults.Unit == "percentunit"; !isPart && !slices.Contains(aboutLimit, p.Title) {
					t.Errorf("panel %q: %s is not in percent of the limit", p.Title, target.Expr)
				}
			}
		}
	}
}

// With several distributors no two lines of a query have the same name: the legend has the labels
// by which the query is grouped, or the query has one line, or the legend has the instance.
func TestDashboardLinesHaveUniqueNames(t *testing.T) {
	alone := regexp.MustCompile(`^-?(sum|max|min|count|histogram_quantile)\(`)
	for _, p := range readDashboard(t).graphs() {
		for _, target := range p.Targets {
			shown := target.legendLabels()
			var groups []string
			if by := grouped.FindStringSubmatch(target.Expr); by != nil {
				groups = slices.DeleteFunc(strings.Split(by[1], ", "), func(label string) bool { return label == "le" })
			} else if strings.HasPrefix(target.Expr, "topk") || !alone.MatchString(target.Expr) && strings.Contains(target.Expr, "distributor_") {
				groups = []string{"instance"}
			}
			for _, label := range groups {
				if !slices.Contains(shown, label) {
					t.Errorf("panel %q: lines of several values of %s have the same name: %q of %s", p.Title, label, target.LegendFormat, target.Expr)
				}
			}
			if strings.Contains(target.Expr, "analyzer_") && !strings.Contains(target.Expr, "distributor_") && slices.Contains(shown, "instance") {
				t.Errorf("panel %q: analyzers are named by host and port", p.Title)
			}
		}
	}
}

// An analyzer's line has the same colour in all panels, levels have their own colours, a table
// below a graph has more than two lines, and the most important panels are further up.
func TestDashboardColoursAndOrder(t *testing.T) {
	levels := []string{"TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "ERROR", "CRITICAL"}
	var first []string
	for _, p := range readDashboard(t).graphs() {
		if p.Type == "timeseries" && p.FieldConfig.Defaults.Color.Mode != "palette-classic-by-name" {
			t.Errorf("panel %q: colours by %s", p.Title, p.FieldConfig.Defaults.Color.Mode)
		}
		if legend := p.Options.Legend; p.Type == "timeseries" && legend.DisplayMode == "table" && legend.Placement == "bottom" && p.GridPos.H < 9 {
			t.Errorf("panel %q: %v is too low for its legend", p.Title, p.GridPos)
		}
		switch p.Title {
		case "Breaker state", "Refusals by reason", "Backlog":
			first = append(first, p.Title)
			if p.GridPos.Y > 6 {
				t.Errorf("panel %q is at line %d", p.Title, p.GridPos.Y)
			}
		case "Delivery latency":
			steps := p.FieldConfig.Defaults.Thresholds.Steps
			if last := steps[len(steps)-1].Value; last == nil || *last != 1 || p.FieldConfig.Defaults.Custom.ThresholdsStyle.Mode != "dashed" {
				t.Errorf("panel %q has no line at 1 s", p.Title)
			}
		case "Messages by level":
			for _, level := range levels {
				if !slices.ContainsFunc(p.FieldConfig.Overrides, func(o override) bool { return o.Matcher.Options == level }) {
					t.Errorf("panel %q: %s has no colour of its own", p.Title, level)
				}
			}
		case "Alerts firing":
			for i, severity := range []string{"critical", "warning"} {
				if want := `alertname=~"$alerts",severity="` + severity + `"`; !strings.Contains(p.Targets[i].Expr, want) {
					t.Errorf("panel %q: %s lacks %s", p.Title, p.Targets[i].Expr, want)
				}
			}
		}
	}
	if len(first) != 3 {
		t.Errorf("of who is out, what is refused and what waits there is only %q", first)
	}
	if !slices.ContainsFunc(readDashboard(t).all(), func(p panel) bool { return p.Type == "alertlist" }) {
		t.Error("there is no list of alerts")
	}
}

// An axis of plain numbers says what they count: by its label, unless the title does. That of a rate is
// a second, that of an increase is a minute.
func TestDashboardAxesHaveUnits(t *testing.T) {
	for _, p := range readDashboard(t).graphs() {
		if p.Type != "timeseries" || p.FieldConfig.Defaults.Unit != "short" || strings.Contains(p.Title, "/s") {
			continue
		}
		label, first := p.FieldConfig.Defaults.Custom.AxisLabel, p.Targets[0].Expr
		switch {
		case label == "":
			t.Errorf("panel %q: its axis has no unit", p.Title)
		case label == "cores":
		case strings.Contains(first, "rate(") != strings.HasSuffix(label, "/s"):
			t.Errorf("panel %q: %q is not the unit of %s", p.Title, label, first)
		case strings.Contains(first, "increase(") != strings.HasSuffix(label, "in a minute"):
			t.Errorf("panel %q: %q is not the unit of %s", p.Title, label, first)
		}
	}
}

// What failed is red and what succeeded is green; of two lines of an instance, one is dashed.
func TestDashboardLinesDiffer(t *testing.T) {
	for _, p := range readDashboard(t).graphs() {
		var names []string
		switch p.Title {
		case "Runs of the autoscale command":
			names = []string{"failed", "succeeded"}
		case "Revision and overrides":
			names = []string{"logs-1:8080 overrides"}
		}
		for _, name := range names {
			if !slices.ContainsFunc(p.FieldConfig.Overrides, func(o override) bool { return o.finds(t, p.Targets[0], name) }) {
				t.Errorf("panel %q: %s is like the other lines", p.Title, name)
			}
		}
	}
}

// Quantiles have the same colours in all graphs.
func TestDashboardQuantileColours(t *testing.T) {
	for _, p := range readDashboard(t).graphs() {
		for _, target := range p.Targets {
			name := target.LegendFormat
			if p.Type == "timeseries" && (name == "p50" || name == "p99") && !slices.ContainsFunc(p.FieldConfig.Overrides, func(o override) bool { return o.finds(t, target, name) }) {
				t.Errorf("panel %q: %s has another colour than elsewhere", p.Title, name)
			}
		}
	}
}

// Every panel that an operator on call needs exists.
func TestDashboardIsComplete(t *testing.T) {
	all := ""
	for _, p := range readDashboard(t).graphs() {
		for _, target := range p.Targets {
			all += target.Expr + "\n"
		}
	}
	for _, name := range []string{
		"distributor_state{", "distributor_shed_packets_total{", "distributor_duplicate_packets_total{", "distributor_id_conflicts_total{",
		"distributor_send_requests_total{", "distributor_dead_letter_write_errors_total{", "distributor_dead_letter_files_removed_total{",
		"distributor_journal_writable{", "distributor_breaker_transitions_total{", "distributor_build_info{", "distributor_start_time_seconds{",
		"up{", "analyzer_refused_packets_total{", "distributor_input_records_total{", "distributor_admin_requests_total{",
		"distributor_cluster_distributors{", "distributor_config_synchronized{",
	} {
		if !strings.Contains(all, name) {
			t.Errorf("no panel has %s", strings.TrimSuffix(name, "{"))
		}
	}
}

// The dashboard is made for the version of Grafana in the compose file, and changes only with the
// repository.
func TestDashboardMatchesGrafanaVersion(t *testing.T) {
	schemas := map[string]int{"grafana/grafana:12.": 42} // by the beginning of the image
	image := readComposeServices(t)["grafana"].Image
	for beginning, schema := range schemas {
		if !strings.HasPrefix(image, beginning) || readDashboard(t).SchemaVersion != schema {
			t.Errorf("%s: the schema is %d", image, readDashboard(t).SchemaVersion)
		}
	}
	var provisioned struct {
		Providers []struct {
			AllowUIUpdates bool `yaml:"allowUiUpdates"`
		}
	}
	readYAML(t, "grafana/provisioning/dashboards/distributor.yml", &provisioned)
	for _, provider := range provisioned.Providers {
		if provider.AllowUIUpdates {
			t.Error("the dashboard can be changed in Grafana, which the next start overwrites")
		}
	}
}
