package monitoring_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/certificate/certificatetest"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// liveSystem is the compose file's system without Grafana, as processes on
// loopback.
type liveSystem struct {
	prometheus prometheusAPI
	analyzers  []*process
	// metrics are the addresses of our /metrics.
	metrics []string
	// ingest and admin are addresses of the distributor.
	ingest, admin string
	targets       int
}

// systemAddresses is the number of addresses of a liveSystem.
const systemAddresses = 7

// environments are settings that a liveSystem has beside its own.
type environments struct{ analyzer, distributor, emitter []string }

func startLiveSystem(t *testing.T, journal, program string, free []string, settings environments) liveSystem {
	t.Helper()
	prometheus := tool(t, "prometheus")
	analyzers, ingest, metrics, console, admin := free[:3], free[3], free[4], free[5], free[6]
	addresses := map[string]string{"distributor:9100": metrics, "localhost:9090": console}
	system := liveSystem{prometheus: newPrometheusAPI(console), metrics: append([]string{metrics}, analyzers...), ingest: ingest, admin: admin}

	var routes []string
	for i, weight := range []string{"0.5", "0.3", "0.2"} {
		id, address := fmt.Sprintf("analyzer-%d", i+1), analyzers[i]
		environment := append([]string{"PORT=" + portOf(address), "ANALYZER_ID=" + id}, settings.analyzer...)
		system.analyzers = append(system.analyzers, startProcess(t, id, environment, program, "analyzer"))
		waitUntilReady(t, "http://"+address+"/health")
		addresses[fmt.Sprintf("%s:900%d", id, i+1)] = address
		routes = append(routes, "http://"+address+"="+weight)
	}
	startProcess(t, "distributor", append(append(journalEnvironment(t, journal), settings.distributor...),
		"ANALYZERS="+strings.Join(routes, ","),
		"PORT="+portOf(ingest),
		"METRICS_ADDR="+metrics,
		"ADMIN_ADDR="+admin,
		"HEALTH_CHECK_INTERVAL_SEC=1",
		"ANALYZER_CA="+writeAuthority(t),
		"DATA_DIR="+t.TempDir(),
	), program, "distributor")
	waitUntilReady(t, "http://"+ingest+"/readyz")
	startProcess(t, "emitter", append([]string{"TARGET_URL=http://" + ingest + "/ingest"}, settings.emitter...), program, "emitter")

	config := readPrometheusConfig(t)
	system.targets = len(config.targets(t))
	startProcess(t, "prometheus", nil, prometheus,
		"--config.file="+config.writeLocal(t, addresses),
		"--storage.tsdb.path="+t.TempDir(),
		"--web.listen-address="+console)
	waitUntilReady(t, "http://"+console+"/-/ready")
	return system
}

// journalEnvironment returns the settings of a journal, and starts the servers that it needs.
func journalEnvironment(t *testing.T, journal string) []string {
	t.Helper()
	environment := []string{"JOURNAL=" + journal}
	if journal == "jetstream" {
		server := natstest.Start(t, natstest.Options{})
		environment = append(environment, "NATS_URL="+server.URL(), "NATS_MONITOR_URL="+server.Monitor(), "JETSTREAM_REPLICAS=1")
	}
	return environment
}

// writeAuthority writes a CA, for the metric with the time of its expiry.
func writeAuthority(t *testing.T) string {
	t.Helper()
	ca, err := certificatetest.NewAuthority("ca", time.Now().Add(30*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// awaitScrapes waits until Prometheus has scraped every target count times.
func (s liveSystem) awaitScrapes(t *testing.T, count int) {
	t.Helper()
	waitFor(t, "scrapes of every target", func() error {
		scraped, err := s.prometheus.query(fmt.Sprintf("sum_over_time(up[5m]) >= %d", count))
		if err == nil && len(scraped) < s.targets {
			err = fmt.Errorf("%d of %d targets were scraped %d times: %v", len(scraped), s.targets, count, scraped)
		}
		return err
	})
}

// awaitData waits until an expression has a result.
func (s liveSystem) awaitData(t *testing.T, expression string) {
	t.Helper()
	waitFor(t, expression, func() error {
		samples, err := s.prometheus.query(expression)
		if err == nil && len(samples) == 0 {
			err = fmt.Errorf("no data")
		}
		return err
	})
}
