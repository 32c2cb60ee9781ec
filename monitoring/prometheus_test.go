package monitoring_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// prometheusConfig is the shipped Prometheus configuration.
type prometheusConfig map[string]any

func readPrometheusConfig(t *testing.T) prometheusConfig {
	t.Helper()
	var config prometheusConfig
	readYAML(t, prometheusConfigFile, &config)
	return config
}

// mapTargets replaces every scrape target.
func (c prometheusConfig) mapTargets(replace func(target string) string) {
	for _, job := range c["scrape_configs"].([]any) {
		for _, group := range job.(map[string]any)["static_configs"].([]any) {
			targets := group.(map[string]any)["targets"].([]any)
			for i, target := range targets {
				targets[i] = replace(target.(string))
			}
		}
	}
}

func (c prometheusConfig) targets(t *testing.T) []string {
	t.Helper()
	var all []string
	c.mapTargets(func(target string) string {
		all = append(all, target)
		return target
	})
	if len(all) == 0 {
		t.Fatalf("%s scrapes nothing", prometheusConfigFile)
	}
	return all
}

// writeLocal writes the shipped configuration with a shorter interval and local
// addresses to a new file and returns its path.
func (c prometheusConfig) writeLocal(t *testing.T, addresses map[string]string) string {
	t.Helper()
	c.mapTargets(func(target string) string {
		address, known := addresses[target]
		if !known {
			t.Fatalf("%s scrapes %s, which this test does not start", prometheusConfigFile, target)
		}
		return address
	})
	global := c["global"].(map[string]any)
	global["scrape_interval"], global["scrape_timeout"], global["evaluation_interval"] = "1s", "1s", "1s"
	rules, err := filepath.Abs(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	c["rule_files"] = []string{rules}
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// prometheusAPI queries a running Prometheus.
type prometheusAPI struct {
	address string
	client  *http.Client
}

func newPrometheusAPI(address string) prometheusAPI {
	return prometheusAPI{address, &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true},
	}}
}

func (p prometheusAPI) get(path string, query url.Values, into any) error {
	response, err := p.client.Get("http://" + p.address + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var decoded struct {
		Status string
		Error  string
		Data   json.RawMessage
	}
	if err := json.NewDecoder(response.Body).Decode(&decoded); err != nil {
		return fmt.Errorf("%s: %w", response.Status, err)
	}
	if decoded.Status != "success" {
		return fmt.Errorf("%s: %s", response.Status, decoded.Error)
	}
	return json.Unmarshal(decoded.Data, into)
}

// sample is one series of a result; Value is a time and a number as text.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

func (s sample) String() string { return fmt.Sprintf("%v = %v", s.Metric, s.Value[1]) }

func (s sample) isNumber() bool { return s.Value[1] != "NaN" }

// query evaluates an expression that results in an instant vector.
func (p prometheusAPI) query(expression string) ([]sample, error) {
	var data struct {
		ResultType string
		Result     json.RawMessage
	}
	if err := p.get("query", url.Values{"query": {expression}}, &data); err != nil {
		return nil, err
	}
	if data.ResultType != "vector" {
		return nil, fmt.Errorf("the result is a %s, not a vector", data.ResultType)
	}
	var samples []sample
	err := json.Unmarshal(data.Result, &samples)
	return samples, err
}

// metricNames returns the names of all series that Prometheus has stored.
func (p prometheusAPI) metricNames() (map[string]bool, error) {
	var names []string
	if err := p.get("label/__name__/values", nil, &names); err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, name := range names {
		known[name] = true
	}
	return known, nil
}

// rulesHealth returns an error that names a rule not yet evaluated
// successfully.
func (p prometheusAPI) rulesHealth() error {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get("rules", nil, &data); err != nil {
		return err
	}
	if len(data.Groups) == 0 {
		return fmt.Errorf("no rules are loaded")
	}
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			if rule.Health != "ok" {
				return fmt.Errorf("rule %s: %s %s", rule.Name, rule.Health, rule.LastError)
			}
		}
	}
	return nil
}
