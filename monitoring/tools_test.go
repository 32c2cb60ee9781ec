package monitoring_test

import (
	"os/exec"
	"testing"
)

func TestToolsAcceptTheFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		command []string
	}{
		{"configuration", []string{"promtool", "check", "config", "prometheus/prometheus.yml"}},
		{"rules", []string{"promtool", "check", "rules", alertsFile}},
		{"rule unit tests", []string{"promtool", "test", "rules", alertsTestsFile}},
		{"compose file", []string{"docker-compose", "--file", composeFile, "config", "--quiet"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			command := exec.CommandContext(t.Context(), tool(t, test.command[0]), test.command[1:]...)
			if output, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s", test.command, err, output)
			}
		})
	}
}
