package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The distributor and the analyzer accept and know all settings of their manifests.
func TestSettingsAreKnown(t *testing.T) {
	m := load(t)
	program := filepath.Join(t.TempDir(), "logstreamer")
	if output, err := exec.Command("go", "build", "-o", program, "github.com/logstreamer/logstreamer/cmd/logstreamer").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	distributor := environment(m.statefulSet.Spec.Template.Spec.Containers[0])
	dir := t.TempDir() // the volumes
	distributor["DATA_DIR"] = dir
	distributor["ADMIN_TOKENS_FILE"] = filepath.Join(dir, "tokens")
	if err := os.WriteFile(distributor["ADMIN_TOKENS_FILE"], []byte("keda read sha256:"+strings.Repeat("0", 64)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	check := exec.Command(program, "check")
	for name, value := range distributor {
		check.Env = append(check.Env, name+"="+value)
	}
	output, err := check.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for name := range distributor {
		if !regexp.MustCompile(`(?m)^` + name + ` .* environment$`).Match(output) {
			t.Errorf("%s is no setting of the distributor, or was not read:\n%s", name, output)
		}
	}
	help, err := exec.Command(program, "analyzer", "-h").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, help)
	}
	for name := range environment(m.deployment.Spec.Template.Spec.Containers[0]) {
		if !regexp.MustCompile(`(?m)^-\S+ +` + name + ` `).Match(help) {
			t.Errorf("%s is no setting of the analyzer", name)
		}
	}
}
