package monitoring_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"testing"
)

const (
	dashboardFile   = "grafana/dashboards/distributor-overview.json"
	gridColumns     = 24
	dataSourceToUse = "${datasource}"
)

type dashboard struct {
	UID        string
	Title      string
	Panels     []panel
	Templating struct {
		List []struct {
			Name    string
			Type    string
			Query   string
			Current struct{ Value string }
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
			Unit       string
			Thresholds struct{ Steps []any }
		}
	}
	Panels []panel
}

type dataSource struct{ Type, UID string }

type target struct {
	RefID        string
	DataSource   dataSource
	Expr         string
	LegendFormat string
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

// graphs returns all panels except row headers.
func (d dashboard) graphs() []panel {
	return slices.DeleteFunc(slices.Clone(d.Panels), func(p panel) bool { return p.Type == "row" })
}

func TestDashboardIsIdentified(t *testing.T) {
	d := readDashboard(t)
	if d.Title != "Distributor Overview" || d.UID != "distributor-overview" {
		t.Errorf("title %q, uid %q: bookmarks and users rely on both", d.Title, d.UID)
	}
	seen := map[int]string{}
	for _, p := range d.Panels {
		if len(p.Panels) > 0 {
			t.Errorf("row %q is collapsed: neither users nor these tests see its panels", p.Title)
		}
		if other, taken := seen[p.ID]; taken || p.ID <= 0 {
			t.Errorf("panel %q has the id %d, as has %q", p.Title, p.ID, other)
		}
		seen[p.ID] = p.Title
	}
}

func TestDashboardPanelsDoNotOverlap(t *testing.T) {
	panels := readDashboard(t).Panels
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
	if len(provisioned.DataSources) != 1 || len(d.Templating.List) != 1 {
		t.Fatalf("want one data source and one variable, got %d and %d", len(provisioned.DataSources), len(d.Templating.List))
	}
	variable, source := d.Templating.List[0], provisioned.DataSources[0]
	if variable.Name != "datasource" || variable.Type != "datasource" || variable.Query != source.Type || variable.Current.Value != source.UID {
		t.Errorf("the dashboard's variable %+v does not choose the provisioned data source %+v", variable, source)
	}
}

var legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// legendLabels returns the labels in a target's legend.
func (t target) legendLabels() []string {
	var labels []string
	for _, match := range legendLabel.FindAllStringSubmatch(t.LegendFormat, -1) {
		labels = append(labels, match[1])
	}
	return labels
}
