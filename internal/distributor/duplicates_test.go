package distributor

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// runOfEmitter returns the packets of one run of an emitter. Its packet ids count from 1, and times
// and messages differ between runs.
func runOfEmitter(run, packets int) (bodies []string) {
	for n := range packets {
		bodies = append(bodies, fmt.Sprintf(`{"emitter_id":"emitter-1","packet_id":"%d","messages":[{"timestamp":%d,"level":"INFO","message":"run %d"}]}`,
			n+1, 1640995200000+run, run))
	}
	return bodies
}

// sendAll sends packets one by one, which must be accepted, and returns the number of
// duplicates.
func (s *system) sendAll(t *testing.T, bodies []string) (duplicates int) {
	t.Helper()
	for _, body := range bodies {
		response, err := s.client.Post("http://"+s.Addr()+"/ingest", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusAccepted {
			t.Fatalf("answered %d %s: %v", response.StatusCode, text, err)
		}
		if strings.Contains(string(text), `"duplicate":true`) {
			duplicates++
		}
	}
	return duplicates
}

// An emitter that restarts and counts from 1 again loses no packet, and the packets of both runs
// are duplicates when the emitter sends them again: with either journal, after a restart of the
// distributor, and at the project's analyzer.
func TestRestartedEmitter(t *testing.T) {
	for _, c := range []restartedEmitterCase{
		{"memory", JournalMemory, 0, false},
		{"memory with a window", JournalMemory, time.Minute, false},
		{"disk", JournalDisk, -1, false},
		{"disk over a restart", JournalDisk, -1, true},
	} {
		t.Run(c.name, func(t *testing.T) { checkRestartedEmitter(t, c) })
	}
}

type restartedEmitterCase struct {
	name, journal string
	window        time.Duration // 0: only the analyzer detects duplicates
	restart       bool
}

func checkRestartedEmitter(t *testing.T, c restartedEmitterCase) {
	t.Helper()
	const packets = 20
	analyzers, targets := startAnalyzers(t, 1)
	config := quick(t, targets...)
	config.Journal, config.DedupeWindow = c.journal, c.window
	s := startSystem(t, config)
	first, second := runOfEmitter(1, packets), runOfEmitter(2, packets)
	if got := s.sendAll(t, first); got != 0 {
		t.Errorf("%d packets of the first run are reported as duplicates", got)
	}
	if c.restart {
		s.stop(t)
		s = startSystem(t, config)
	}
	if got := s.sendAll(t, second); got != 0 {
		t.Errorf("%d packets of the second run are reported as duplicates", got)
	}
	wantDuplicates, wantDropped, wantConflicts := 2*packets, 0, packets
	if c.window == 0 {
		wantDuplicates, wantDropped, wantConflicts = 0, 2*packets, 0
	}
	if got := s.sendAll(t, append(first, second...)); got != wantDuplicates {
		t.Errorf("%d of %d packets that are sent again are reported as duplicates, want %d", got, 2*packets, wantDuplicates)
	}
	until(t, "all are delivered", func() bool {
		stats := analyzers[0].Stats()
		return stats.Packets+stats.Duplicates == int64(2*packets+wantDropped)
	})
	if got := analyzers[0].Stats(); got.Packets != 2*packets || got.Duplicates != int64(wantDropped) || got.IDConflicts != packets {
		t.Errorf("the analyzer counted %+v", got)
	}
	if got := s.scrape(t)["distributor_id_conflicts_total"]; got != float64(wantConflicts) {
		t.Errorf("%v conflicts are counted, want %d", got, wantConflicts)
	}
	s.stop(t)
}
