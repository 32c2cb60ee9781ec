package distributor

import (
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/natslink"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// cluster returns a configuration with the streams of a server.
func cluster(t *testing.T, options natstest.Options, targets ...Target) Config {
	server := natstest.Start(t, options)
	c := quick(t, targets...)
	c.Journal, c.JetStream.Replicas, c.JetStream.Partitions = JournalJetStream, 1, 1
	c.JetStream.Servers, c.JetStream.Monitor = natslink.Servers(server.URL()), natslink.Servers(server.Monitor())
	return c
}

// Each of n distributors allows 1/n of the limits, and the deviation of the cluster is n times that
// of one distributor.
func TestRateLimitOfACluster(t *testing.T) {
	_, targets := startAnalyzers(t, 0.5, 0.5)
	c := cluster(t, natstest.Options{}, targets...)
	c.Rate = ratelimit.Config{Rate: 0.003, Burst: 30, Scope: ratelimit.ScopeCluster}
	s := startSystem(t, c)
	alone := s.scrape(t)["distributor_share_deviation_limit_messages"]
	s.SetClusterSize(3)
	for _, one := range []struct{ messages, status int }{{10, 202}, {1, 429}} {
		if got, _, body := s.send(one.messages); got != one.status {
			t.Errorf("%d messages are answered %d %s, want %d", one.messages, got, body, one.status)
		}
	}
	c.Rate.Scope = ratelimit.ScopeDistributor
	if err := s.Reconfigure(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got, _, body := s.send(20); got != 202 { // 10 of 30 messages are used, and the change of the size keeps that number
		t.Errorf("the burst of this distributor is answered %d %s", got, body)
	}
	until(t, "all is delivered", func() bool { return s.Status().Delivered.Messages == 30 })
	seen := s.scrape(t)
	three := seen["distributor_share_deviation_limit_messages"]
	s.SetClusterSize(1)
	one := s.scrape(t)["distributor_share_deviation_limit_messages"]
	if three != 3*one || one <= alone || seen["distributor_cluster_distributors"] != 3 {
		t.Errorf("the limits are %v for three and %v for one", three, one)
	}
	c.Journal, c.Rate.Scope = JournalDisk, ratelimit.ScopeCluster
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "RATE_LIMIT_SCOPE is cluster") {
		t.Error(err)
	}
}
