package monitoring_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	composeFile          = repository + "/docker-compose.yml"
	prometheusConfigFile = "prometheus/prometheus.yml"
)

type composeService struct {
	Restart     string
	Healthcheck struct{ Test []string }
	DependsOn   any `yaml:"depends_on"` // a list of names, or their conditions
	Image       string
	Environment map[string]string
	Ports       []string
	Volumes     []string
}

// publishes reports whether the service's port is published under the same
// number on the host.
func (s composeService) publishes(port string) bool {
	return slices.Contains(s.Ports, port+":"+port)
}

func readComposeServices(t *testing.T) map[string]composeService {
	t.Helper()
	var file struct {
		Services map[string]composeService
	}
	readYAML(t, composeFile, &file)
	return file.Services
}

func TestComposePublishesTheDocumentedPorts(t *testing.T) {
	services := readComposeServices(t)
	for name, ports := range map[string][]string{
		"distributor": {"8080", "9100"},
		"analyzer-1":  {"9001"},
		"analyzer-2":  {"9002"},
		"analyzer-3":  {"9003"},
		"emitter":     nil,
		"prometheus":  {"9090"},
		"grafana":     {"3000"},
	} {
		service, found := services[name]
		if !found {
			t.Errorf("there is no service %q", name)
		}
		for _, port := range ports {
			if !service.publishes(port) {
				t.Errorf("%s publishes %v, not %s", name, service.Ports, port)
			}
		}
	}
}

// TestComposeRestartsServicesAlone requires that services restart, and a finished load does not.
func TestComposeRestartsServicesAlone(t *testing.T) {
	for name, service := range readComposeServices(t) {
		want := "unless-stopped"
		if name == "emitter" {
			want = "no"
		}
		if service.Restart != want {
			t.Errorf("%s: restart %q, want %q", name, service.Restart, want)
		}
	}
}

// TestComposeWaitsForHealth requires that a sender starts after its target is healthy. The image
// has no shell, so the program is its own probe.
func TestComposeWaitsForHealth(t *testing.T) {
	services := readComposeServices(t)
	probe := []string{"CMD", "/logstreamer", "healthcheck"}
	for name, needs := range map[string][]string{
		"analyzer-1": nil, "analyzer-2": nil, "analyzer-3": nil,
		"distributor": {"analyzer-1", "analyzer-2", "analyzer-3"},
		"emitter":     {"distributor"},
	} {
		if got := services[name].Healthcheck.Test; name != "emitter" && !slices.Equal(got, probe) {
			t.Errorf("%s is probed by %q, want %q", name, got, probe)
		}
		conditions, _ := services[name].DependsOn.(map[string]any)
		for _, need := range needs {
			condition, _ := conditions[need].(map[string]any)
			if condition["condition"] != "service_healthy" {
				t.Errorf("%s does not wait until %s is healthy: %v", name, need, services[name].DependsOn)
			}
		}
	}
}

func TestComposeDistributorKnowsItsAnalyzers(t *testing.T) {
	services := readComposeServices(t)
	weights := map[string]string{"analyzer-1": "0.5", "analyzer-2": "0.3", "analyzer-3": "0.2"}
	for entry := range strings.SplitSeq(services["distributor"].Environment["ANALYZERS"], ",") {
		split := strings.LastIndex(entry, "=")
		if split < 0 {
			t.Fatalf("ANALYZERS entry %q has no weight", entry)
		}
		address, err := url.Parse(entry[:split])
		if err != nil {
			t.Fatal(err)
		}
		name := address.Hostname()
		environment := services[name].Environment
		if environment["PORT"] != address.Port() || environment["ANALYZER_ID"] != name {
			t.Errorf("%s is configured as %v", entry, environment)
		}
		if weight, expected := weights[name]; !expected || weight != entry[split+1:] {
			t.Errorf("%s: want the weight %q", entry, weight)
		}
		delete(weights, name)
	}
	if len(weights) > 0 {
		t.Errorf("the distributor does not know %v", weights)
	}
}

func TestPrometheusScrapesComposeServices(t *testing.T) {
	services := readComposeServices(t)
	for _, target := range readPrometheusConfig(t).targets(t) {
		name, port, _ := strings.Cut(target, ":")
		if name == "localhost" {
			name = "prometheus"
		}
		if service, found := services[name]; !found || !service.publishes(port) {
			t.Errorf("target %s is not a service of %s", target, composeFile)
		}
	}
}

func TestComposeMountsExistAndImagesArePinned(t *testing.T) {
	pinned := regexp.MustCompile(`:v?\d+\.\d+\.\d+$`)
	for name, service := range readComposeServices(t) {
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if !strings.HasPrefix(source, ".") {
				continue
			}
			if _, err := os.Stat(filepath.Join(repository, source)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if service.Image != "logstreamer" && !pinned.MatchString(service.Image) {
			t.Errorf("%s: image %q has no full version", name, service.Image)
		}
	}
}

// TestDockerfileUsesGoVersionOfModule requires the image's compiler to be the
// version in go.mod.
func TestDockerfileUsesGoVersionOfModule(t *testing.T) {
	module := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(readFile(t, repository+"/go.mod"))
	image := regexp.MustCompile(`(?m)^FROM golang:(\d+\.\d+)-`).FindSubmatch(readFile(t, repository+"/Dockerfile"))
	if module == nil || image == nil || string(module[1]) != string(image[1]) {
		t.Errorf("go.mod asks for %q, the Dockerfile uses %q", module, image)
	}
}
