package monitoring_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	alertsFile      = "prometheus/alerts.yml"
	alertsTestsFile = "prometheus/alerts_test.yml"
	runbookFile     = "docs/runbook.md"
)

type alert struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func readAlerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	readYAML(t, alertsFile, &file)
	var alerts []alert
	for _, group := range file.Groups {
		alerts = append(alerts, group.Rules...)
	}
	if len(alerts) == 0 {
		t.Fatalf("%s holds no alert", alertsFile)
	}
	return alerts
}

func TestAlertsSayWhatToDo(t *testing.T) {
	for _, a := range readAlerts(t) {
		if !slices.Contains([]string{"critical", "warning", "info"}, a.Labels["severity"]) {
			t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
		}
		for _, name := range []string{"summary", "description"} {
			if a.Annotations[name] == "" {
				t.Errorf("%s has no %s", a.Alert, name)
			}
		}
		lines := strings.Split(strings.TrimSpace(a.Annotations["runbook"]), "\n")
		if len(lines) != 3 || !strings.HasPrefix(lines[0], "Means: ") ||
			!strings.HasPrefix(lines[1], "Look: ") || !strings.HasPrefix(lines[2], "Do: ") {
			t.Errorf("%s: runbook lines are not Means, Look, Do: %q", a.Alert, lines)
		}
	}
}

func TestRunbookHasOneSectionForEachAlert(t *testing.T) {
	var sections []string
	for line := range strings.Lines(string(readFile(t, repository+"/"+runbookFile))) {
		if title, found := strings.CutPrefix(line, "## "); found {
			sections = append(sections, strings.TrimSpace(title))
		}
	}
	base, _ := readDashboard(t).variable(t, "runbooks").(string)
	var names []string
	for _, a := range readAlerts(t) {
		names = append(names, a.Alert)
		if want := base + runbookFile + "#" + strings.ToLower(a.Alert); a.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %q, want %q", a.Alert, a.Annotations["runbook_url"], want)
		}
	}
	slices.Sort(sections)
	slices.Sort(names)
	if !slices.Equal(sections, names) {
		t.Errorf("sections of %s: %v\nalerts: %v", runbookFile, sections, names)
	}
}

// ruleCheck is an expectation of the rule unit tests on the series ALERTS.
type ruleCheck struct {
	Expr       string
	ExpSamples []struct{ Labels string } `yaml:"exp_samples"`
}

func readRuleChecks(t *testing.T) []ruleCheck {
	t.Helper()
	var file struct {
		Tests []struct {
			Checks []ruleCheck `yaml:"promql_expr_test"`
		}
	}
	readYAML(t, alertsTestsFile, &file)
	var checks []ruleCheck
	for _, test := range file.Tests {
		checks = append(checks, test.Checks...)
	}
	return checks
}

var templateLabel = regexp.MustCompile(`\$labels\.(\w+)`)

// TestAlertsAreTestedFiringAndSilent requires the rule unit tests to cover every alert in both
// states, and requires every alert's texts to use labels that it has.
func TestAlertsAreTestedFiringAndSilent(t *testing.T) {
	checks := readRuleChecks(t)
	for _, a := range readAlerts(t) {
		var firing []string
		silent := false
		for _, check := range checks {
			if !strings.Contains(check.Expr, `"`+a.Alert+`"`) {
				continue
			}
			silent = silent || len(check.ExpSamples) == 0
			for _, sample := range check.ExpSamples {
				firing = append(firing, sample.Labels)
			}
		}
		if len(firing) == 0 || !silent {
			t.Errorf("%s: %d samples of it firing, tested silent: %v", a.Alert, len(firing), silent)
		}
		for name, text := range a.Annotations {
			for _, match := range templateLabel.FindAllStringSubmatch(text, -1) {
				if !strings.Contains(strings.Join(firing, "\n"), match[1]+`="`) {
					t.Errorf("%s: its %s shows the label %q, which it does not have", a.Alert, name, match[1])
				}
			}
		}
	}
}
