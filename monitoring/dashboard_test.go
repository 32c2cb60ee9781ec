package monitoring_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	dashboardFile   = "grafana/dashboards/distributor-overview.json"
	gridColumns     = 24
	dataSourceToUse = "${datasource}"
)

type dashboard struct {
	SchemaVersion int
	UID           string
	Title         string
	Panels        []panel
	Templating    struct {
		List []struct {
			Name    string
			Type    string
			Query   any // a text, or an object with one
			Current struct{ Value any }
		}
	}
	Annotations struct {
		List []struct {
			Name, Expr string
			DataSource dataSource
		}
	}
}

type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	DataSource  dataSource
	GridPos     area
	Targets     []target
	FieldConfig struct {
		Defaults struct {
			Unit   string
			Color  struct{ Mode string }
			Custom struct {
				ThresholdsStyle struct{ Mode string }
				AxisLabel       string
			}
			Thresholds struct {
				Steps []struct {
					Color string
					Value *float64
				}
			}
		}
		Overrides []override
	}
	Options struct {
		Legend struct {
			DisplayMode, Placement string

			SortBy   string
			SortDesc bool
		}
		ReduceOptions struct{ Calcs []string }
	}
	Links     []struct{ URL string }
	Collapsed bool
	Panels    []panel
}

type dataSource struct{ Type, UID string }

type target struct {
	RefID        string
	DataSource   dataSource
	Expr         string
	LegendFormat string
}

// override is for the series that its matcher selects: by name, by a regular expression between
// slashes, or by the name of a query.
type override struct {
	Matcher struct{ ID, Options string }
}

// finds reports whether the override is for a series of a target, by the series' name.
func (o override) finds(t *testing.T, query target, name string) bool {
	t.Helper()
	switch o.Matcher.ID {
	case "byFrameRefID":
		return o.Matcher.Options == query.RefID
	case "byName":
		return o.Matcher.Options == name
	case "byRegexp":
		pattern, slashed := strings.CutPrefix(o.Matcher.Options, "/")
		if slashed {
			pattern = strings.TrimSuffix(pattern, "/")
		} else { // Grafana matches whole names
			pattern = "^" + pattern + "$"
		}
		return regexp.MustCompile(pattern).MatchString(name)
	}
	t.Errorf("the matcher %q is not in use", o.Matcher.ID)
	return false
}

// area is a panel's position on the dashboard's grid.
type area struct{ X, Y, W, H int }

func (a area) overlaps(b area) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

func (a area) String() string {
	return fmt.Sprintf("%d×%d at column %d, line %d", a.W, a.H, a.X, a.Y)
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(readFile(t, dashboardFile), &d); err != nil {
		t.Fatalf("%s: %v", dashboardFile, err)
	}
	return d
}

// all returns the rows and all panels, also those of collapsed rows.
func (d dashboard) all() []panel {
	var all []panel
	for _, p := range d.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return all
}

// graphs returns all panels that query Prometheus.
func (d dashboard) graphs() []panel {
	return slices.DeleteFunc(d.all(), func(p panel) bool { return p.Type == "row" || p.Type == "alertlist" })
}

// variable returns the query of a variable, which is its value if it is a constant or a text.
func (d dashboard) variable(t *testing.T, name string) any {
	t.Helper()
	for _, v := range d.Templating.List {
		if v.Name == name {
			return v.Query
		}
	}
	t.Errorf("there is no variable %s", name)
	return nil
}

func TestDashboardIsIdentified(t *testing.T) {
	d := readDashboard(t)
	if d.Title != "Distributor Overview" || d.UID != "distributor-overview" {
		t.Errorf("title %q, uid %q: bookmarks and users rely on both", d.Title, d.UID)
	}
	seen := map[int]string{}
	for _, p := range d.all() {
		if other, taken := seen[p.ID]; taken || p.ID <= 0 {
			t.Errorf("panel %q has the id %d, as has %q", p.Title, p.ID, other)
		}
		seen[p.ID] = p.Title
	}
}

func TestDashboardPanelsDoNotOverlap(t *testing.T) {
	panels := readDashboard(t).all()
	for i, p := range panels {
		g := p.GridPos
		if g.X < 0 || g.Y < 0 || g.W <= 0 || g.H <= 0 || g.X+g.W > gridColumns {
			t.Errorf("panel %q is outside of the grid: %v", p.Title, g)
		}
		for _, q := range panels[:i] {
			if g.overlaps(q.GridPos) {
				t.Errorf("panel %q (%v) overlaps %q (%v)", p.Title, g, q.Title, q.GridPos)
			}
		}
	}
}

func TestDashboardPanelsExplainThemselves(t *testing.T) {
	titles := map[string]bool{}
	for _, p := range readDashboard(t).graphs() {
		if p.Title == "" || titles[p.Title] {
			t.Errorf("panel %d: the title %q is empty or taken", p.ID, p.Title)
		}
		titles[p.Title] = true
		if p.Description == "" {
			t.Errorf("panel %q has no description", p.Title)
		}
		if p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("panel %q has no unit", p.Title)
		}
		if p.Type == "stat" && len(p.FieldConfig.Defaults.Thresholds.Steps) == 0 {
			t.Errorf("panel %q has no thresholds", p.Title)
		}
	}
}

func TestDashboardPanelsAskTheChosenDataSource(t *testing.T) {
	d := readDashboard(t)
	chosen := dataSource{Type: "prometheus", UID: dataSourceToUse}
	for _, p := range d.graphs() {
		if p.DataSource != chosen {
			t.Errorf("panel %q queries %v", p.Title, p.DataSource)
		}
		if len(p.Targets) == 0 {
			t.Errorf("panel %q has no query", p.Title)
		}
		names := map[string]bool{}
		for _, target := range p.Targets {
			if target.DataSource != chosen {
				t.Errorf("panel %q: target %s queries %v", p.Title, target.RefID, target.DataSource)
			}
			if target.RefID == "" || names[target.RefID] {
				t.Errorf("panel %q: target name %q is empty or taken", p.Title, target.RefID)
			}
			names[target.RefID] = true
			if target.Expr == "" || target.LegendFormat == "" {
				t.Errorf("panel %q: target %s lacks its expression or its legend", p.Title, target.RefID)
			}
		}
	}
	var provisioned struct {
		DataSources []struct{ UID, Type string }
	}
	readYAML(t, "grafana/provisioning/datasources/prometheus.yml", &provisioned)
	if len(provisioned.DataSources) != 1 {
		t.Fatalf("want one data source, got %d", len(provisioned.DataSources))
	}
	variable, source := d.Templating.List[0], provisioned.DataSources[0]
	if variable.Name != "datasource" || variable.Type != "datasource" || variable.Query != source.Type || variable.Current.Value != source.UID {
		t.Errorf("the dashboard's variable %+v does not choose the provisioned data source %+v", variable, source)
	}
}

var legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// seriesName returns the name of a series in the legend.
func (t target) seriesName(labels map[string]string) string {
	return legendLabel.ReplaceAllStringFunc(t.LegendFormat, func(found string) string {
		return labels[legendLabel.FindStringSubmatch(found)[1]]
	})
}

// legendLabels returns the labels in a target's legend.
func (t target) legendLabels() []string {
	var labels []string
	for _, match := range legendLabel.FindAllStringSubmatch(t.LegendFormat, -1) {
		labels = append(labels, match[1])
	}
	return labels
}

// Panels of optional features are in rows that are collapsed.
func TestDashboardRowsOfOptionsAreCollapsed(t *testing.T) {
	want := map[string]bool{"Disk journal": true, "Streams of NATS": true, "Protocols": true, "Admin API": true, "Number of analyzers": true, "Cluster": true}
	for _, p := range readDashboard(t).Panels {
		if p.Type == "row" && p.Collapsed != want[p.Title] {
			t.Errorf("row %q: collapsed is %v", p.Title, p.Collapsed)
		}
		if p.Collapsed != (len(p.Panels) > 0) {
			t.Errorf("row %q is collapsed (%v) and has %d panels", p.Title, p.Collapsed, len(p.Panels))
		}
		delete(want, p.Title)
	}
	if len(want) > 0 {
		t.Errorf("missing rows: %v", want)
	}
}

// hardToRead are units that scale to unusual ones, such as milli packets.
var hardToRead = []string{"ops", "pps", "mps", "cps", "reqps", "rps", "wps"}

// Legends begin with the largest series, no unit shows "480 mp/s", a stat is tall enough for its
// line, and its value is the last one, not the last non-null one.
func TestDashboardPanelsAreReadable(t *testing.T) {
	for _, p := range readDashboard(t).graphs() {
		if p.Type == "timeseries" && (p.Options.Legend.SortBy == "" || !p.Options.Legend.SortDesc) {
			t.Errorf("panel %q: its legend is not sorted, the largest first", p.Title)
		}
		if slices.Contains(hardToRead, p.FieldConfig.Defaults.Unit) {
			t.Errorf("panel %q: the unit %s", p.Title, p.FieldConfig.Defaults.Unit)
		}
		if p.Type == "stat" && (p.GridPos.H < 5 || !slices.Equal(p.Options.ReduceOptions.Calcs, []string{"last"})) {
			t.Errorf("panel %q has %d lines and shows %v", p.Title, p.GridPos.H, p.Options.ReduceOptions.Calcs)
		}
		const charsOfThreeColumns = 13 // at 1140 px, beside the icon of a description
		if p.Type == "stat" && len(p.Title) > charsOfThreeColumns {
			t.Errorf("the title %q is cut", p.Title)
		}
	}
}

var unfiltered = regexp.MustCompile(`\b(distributor|analyzer)_[a-z0-9_]+(\{[^}]*\})?`)

// Each query selects the chosen instances, and queries of analyzers the chosen analyzers.
func TestDashboardQueriesAreFiltered(t *testing.T) {
	d := readDashboard(t)
	for _, name := range []string{"job", "instance", "analyzer"} {
		d.variable(t, name)
	}
	for _, p := range d.graphs() {
		for _, target := range p.Targets {
			for _, found := range unfiltered.FindAllString(target.Expr, -1) {
				filter := `job=~"$job",instance=~"$instance"`
				if strings.HasPrefix(found, "analyzer_") {
					filter = `analyzer=~"$analyzer"`
				}
				if !strings.Contains(found, filter) {
					t.Errorf("panel %q: %s is of all instances", p.Title, found)
				}
			}
			if strings.Contains(target.Expr, `job=~"distributor`) {
				t.Errorf("panel %q names a job", p.Title)
			}
		}
	}
}

// Values of several distributors do not cancel each other, and colours show the state.
func TestDashboardStatsAreHonest(t *testing.T) {
	for _, p := range readDashboard(t).graphs() {
		if p.Type != "stat" {
			continue
		}
		steps := p.FieldConfig.Defaults.Thresholds.Steps
		last := steps[len(steps)-1]
		switch p.Title {
		case "Unaccounted":
			if !strings.HasPrefix(p.Targets[0].Expr, "sum(abs(") || last.Color != "red" || *last.Value != 1 {
				t.Errorf("%s: %s %v", p.Title, p.Targets[0].Expr, last)
			}
		case "Healthy":
			if len(steps) != 3 || steps[0].Color != "red" || steps[1].Color != "orange" || last.Color != "green" || *last.Value != 1 {
				t.Errorf("%s is green at %v", p.Title, last)
			}
		case "Dead letters":
			if !strings.Contains(p.Targets[0].Expr, "increase(") || !strings.Contains(p.Targets[0].Expr, "$__range") {
				t.Errorf("%s: %s is orange until the restart", p.Title, p.Targets[0].Expr)
			}
		}
	}
}

// The alerts are ours, with links to their runbook sections.
func TestDashboardAlertsHaveRunbooks(t *testing.T) {
	d, alerts := readDashboard(t), map[string]bool{}
	var names []string
	for _, a := range readAlerts(t) {
		names = append(names, a.Alert)
		alerts[strings.ToLower(a.Alert)] = true
	}
	if got := d.variable(t, "alerts"); got != strings.Join(names, "|") {
		t.Errorf("the dashboard's alerts are %v, want %s", got, strings.Join(names, "|"))
	}
	if base, _ := d.variable(t, "runbooks").(string); !strings.HasPrefix(base, "https://") {
		t.Errorf("runbooks are at %q", base)
	}
	for _, p := range d.graphs() {
		for _, link := range p.Links {
			if anchor, ok := strings.CutPrefix(link.URL, "${runbooks}docs/runbook.md#"); !ok || !alerts[anchor] {
				t.Errorf("panel %q links to %s", p.Title, link.URL)
			}
		}
	}
	annotations := map[string]bool{}
	for _, a := range d.Annotations.List {
		annotations[a.Name] = a.Expr != "" && a.DataSource.UID == dataSourceToUse
	}
	if !annotations["Alerts"] || !annotations["Breakers"] || !annotations["Restarts"] {
		t.Errorf("annotations: %v", annotations)
	}
}
