//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/ports"
)

// The heap allocations of the distributor are bounded for the whole way of a
// packet, from its acceptance to its delivery: there are none, except for the
// reservation of a packet in the duplicate window. On a busy machine batches are
// small and what is allocated for each adds up, up to half an allocation.
func TestAllocationsOfAPacket(t *testing.T) {
	distributor := filepath.Join(t.TempDir(), "logstreamer")
	cores, err := usableCores()
	if err != nil {
		t.Fatal(err)
	}
	if err := buildDistributor(t.Context(), distributor, cores); err != nil {
		t.Fatal(err)
	}
	a := &testbed{
		loop: newTestLoop(t), ledger: &ledger{}, cores: append(cores, cores[0])[:2],
		dir: t.TempDir(), distributor: distributor, timeout: time.Minute,
	}
	for _, c := range []struct {
		name    string
		subject subject
		traffic traffic
		lines   bool
		most    float64
		setting []string
	}{
		{"analyzers take NDJSON", ours(), shaped(5, 1), true, 0.75, nil},
		{"analyzers take one packet a request", ours(), shaped(5, 1), false, 0.75, nil},
		{"requests of NDJSON", ours(), shaped(5, 100), true, 0.75, nil},
		{"limits", ours(), shaped(5, 1), true, 0.75, []string{"SHED=DEBUG@99%", "RATE_LIMIT=1000000000", "RATE_BURST=1000000000"}},
		{"duplicate window", ours(), shaped(5, 1), true, 1.75, []string{"DEDUPE_WINDOW_SEC=600"}},
		{"JOURNAL=disk", oursOnDisk(), shaped(5, 1), true, 0.75, []string{"DEDUPE_WINDOW_SEC=0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := a.allocations(t, c.subject, defaultLoad(c.traffic, c.lines), c.setting...)
			t.Logf("%.3f allocations a packet", got)
			if got > c.most {
				t.Errorf("%.3f allocations a packet, want at most %v", got, c.most)
			}
		})
	}
}

// allocations returns the number of heap allocations for each packet, not
// counting those of a scrape.
func (a *testbed) allocations(t *testing.T, s subject, e experiment, settings ...string) float64 {
	t.Helper()
	free, err := ports.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	command := s.command
	s.command = func(p subjectConfig) (*exec.Cmd, error) {
		c, err := command(p)
		c.Env = append(append(c.Env, settings...), fmt.Sprintf("METRICS_ADDR=127.0.0.1:%d", free[0]))
		return c, err
	}
	places, err := newAnalyzers(a.loop, a.ledger, e.analyzers, e.lines)
	if err != nil {
		t.Fatal(err)
	}
	defer places.close()
	c, err := a.startSubject(s, e, places.ports)
	if c != nil {
		defer c.close(a.loop)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.send(t, c, 10_000) // until buffers have their sizes
	var before, scrape float64
	for range 5 {
		now := mallocs(t, free[0])
		before, scrape = now, now-before
	}
	packets := a.send(t, c, 20_000)
	return (mallocs(t, free[0]) - before - scrape) / float64(packets)
}

// send sends at least the given number of packets and returns how many.
func (a *testbed) send(t *testing.T, c *runningSubject, wanted int64) (packets int64) {
	t.Helper()
	for packets < wanted {
		sample, err := a.measure(c, 100*time.Millisecond, 0)
		if err != nil {
			t.Fatal(err)
		}
		packets += sample.Packets
	}
	return packets
}

var mallocsMetric = regexp.MustCompile(`(?m)^go_memstats_mallocs_total (\S+)$`)

// mallocs returns the number of heap allocations of a distributor so far.
func mallocs(t *testing.T, metricsPort int) float64 {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", metricsPort))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	found := mallocsMetric.FindSubmatch(text)
	if err != nil || found == nil {
		t.Fatalf("no go_memstats_mallocs_total in %.200s: %v", text, err)
	}
	value, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
