package distributor

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/breaker"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// takenBy returns the number of packets that an analyzer took.
func takenBy(a *analyzertest.Analyzer) int { return len(a.Taken()) }

// Each analyzer fails in turn under load: emitters get no error, no accepted packet is lost, the
// traffic of the failed analyzer goes to the others, and it recovers with a slow start.
func TestAnalyzersFailAndRecover(t *testing.T) {
	for number, failure := range []struct {
		name      string
		behaviour analyzertest.Behaviour
	}{
		{"refuses connections", analyzertest.Behaviour{Refuse: true}},
		{"hangs", analyzertest.Behaviour{Hang: true, Probes: true}},
		{"answers 500", analyzertest.Behaviour{Status: 500, Probes: true}},
		{"answers 500 to packets alone", analyzertest.Behaviour{Status: 500}},
		{"resets connections", analyzertest.Behaviour{Reset: true, Probes: true}},
	} {
		t.Run(failure.name, func(t *testing.T) {
			t.Parallel()
			analyzers, targets := threeScripted(t)
			config := quick(t, targets...)
			if failure.behaviour.Hang {
				config.Analyzer.Timeout, config.Analyzer.ProbeTimeout = time.Second, time.Second
			}
			s := startSystem(t, config)
			end := s.load(3, false)
			defer end()
			v := &victim{t, s, analyzers[number%len(analyzers)], number % len(analyzers)}
			until(t, "the victim gets packets", func() bool { return takenBy(v.analyzer) > 20 })
			v.fail(failure.behaviour)
			v.recover(targets[v.index].Weight)
			end()
			s.onlyAccepted(t)
			s.stop(t)
			s.nothingLost(t, analyzers...)
			if got := s.Status().Unaccounted; got != 0 {
				t.Errorf("%d messages are unaccounted", got)
			}
		})
	}
}

// A victim is the analyzer that fails.
type victim struct {
	t        *testing.T
	system   *system
	analyzer *analyzertest.Analyzer
	index    int
}

func (v *victim) status() AnalyzerStatus { return v.system.Status().Analyzers[v.index] }

// fail makes the analyzer fail, and checks that traffic continues without it.
func (v *victim) fail(behaviour analyzertest.Behaviour) {
	v.t.Helper()
	v.analyzer.Behave(behaviour)
	until(v.t, "the victim is not eligible", func() bool { return v.status().Effective == 0 })
	until(v.t, "the victim has no packet in flight", func() bool { return v.status().InFlight.Packets == 0 })
	before, accepted := takenBy(v.analyzer), v.system.acceptedPackets()
	until(v.t, "traffic continues", func() bool { return v.system.acceptedPackets() > accepted+150 })
	if got := takenBy(v.analyzer) - before; got > 0 {
		v.t.Errorf("the victim took %d packets while it failed", got)
	}
}

// recover makes the analyzer succeed, and checks that its share grows from a slow start.
func (v *victim) recover(weight float64) {
	v.t.Helper()
	// The victim may still take the packets that were sent before it became ineligible; the
	// packets that failed wait for their next attempt.
	until(v.t, "the earlier packets are delivered", func() bool {
		accepted, status := v.system.acceptedPackets(), v.system.Status()
		return status.Analyzers[v.index].InFlight.Packets == 0 && int64(accepted)-status.Delivered.Packets < 10
	})
	v.analyzer.Behave(analyzertest.Behaviour{})
	until(v.t, "the victim is eligible again", func() bool {
		health := v.status().Health
		return health == "warming up" || health == "healthy" // the slow start is short
	})
	before, accepted := takenBy(v.analyzer), v.system.acceptedPackets()
	until(v.t, "the victim gets packets again", func() bool { return takenBy(v.analyzer) > before+20 })
	if got, all := takenBy(v.analyzer)-before, v.system.acceptedPackets()-accepted; float64(got) > 1.3*weight*float64(all)+20 {
		v.t.Errorf("the victim got %d of %d packets after its recovery", got, all)
	}
}

// An analyzer that answers 429 with Retry-After is paused and stays healthy.
func TestThrottlingAnalyzer(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	analyzers[0].Behave(analyzertest.Behaviour{Status: 429, RetryAfter: "60"})
	end := s.load(2, false)
	defer end()
	until(t, "the analyzer is paused", func() bool { return s.Status().Analyzers[0].Health == "pausing" })
	until(t, "the analyzer is not eligible", func() bool { return s.Status().Analyzers[0].Effective == 0 })
	// A second request may have been in flight when the first response came.
	until(t, "no request is in flight", func() bool { return s.Status().Analyzers[0].InFlight.Packets == 0 })
	requests, accepted := analyzers[0].Requests(), s.acceptedPackets()
	until(t, "traffic continues", func() bool { return s.acceptedPackets() > accepted+150 })
	end()
	if got := analyzers[0].Requests(); got != requests || got > s.Config().Analyzer.Concurrency {
		t.Errorf("the analyzer got %d requests, %d of them during its pause", got, got-requests)
	}
	if _, health := s.get(t, "/health"); health["healthy_analyzers"] != 3.0 {
		t.Errorf("health: %v", health)
	}
	s.onlyAccepted(t)
	s.stop(t)
	s.nothingLost(t, analyzers...)
}

// The status has the reason of routing why an analyzer gets nothing that is tried with a few packets
// and has not answered them.
func TestStatusOfHalfOpenAnalyzer(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	analyzers[0].Behave(analyzertest.Behaviour{Hang: true})
	if err := s.OpenBreaker(targets[0].ID, time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	defer s.load(2, false)()
	var got AnalyzerStatus
	until(t, "the analyzer is half-open and gets no packets", func() bool {
		got = s.Status().Analyzers[0]
		return got.Breaker.State == breaker.HalfOpen && got.Effective == 0 && got.InFlight.Packets > 0
	})
	if got.Out != upstream.NoRoom || !got.Until.IsZero() {
		t.Errorf("it is out for %q until %v", got.Out, got.Until)
	}
	analyzers[0].Behave(analyzertest.Behaviour{})
	until(t, "it gets packets again", func() bool { got = s.Status().Analyzers[0]; return got.Effective > 0 && got.Out == 0 })
}

// Without a healthy analyzer packets are refused at once, with an accurate
// Retry-After, until one recovers.
func TestAllAnalyzersDown(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	s.send(5)
	for _, a := range analyzers {
		a.Behave(analyzertest.Behaviour{Refuse: true})
	}
	until(t, "no analyzer is eligible", func() bool { return s.eligible() == 0 })
	status, header, body := s.send(5)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, `"no_analyzer"`) {
		t.Errorf("answered %d %s", status, body)
	}
	if after, err := strconv.Atoi(header.Get("Retry-After")); err != nil || after < 1 || after > 60 {
		t.Errorf("Retry-After is %q", header.Get("Retry-After"))
	}
	if status, health := s.get(t, "/health"); status != 503 || health["status"] != "unhealthy" || health["healthy_analyzers"] != 0.0 {
		t.Errorf("/health answers %d %v", status, health)
	}
	if status, _ := s.get(t, "/readyz"); status != 503 {
		t.Errorf("/readyz answers %d", status)
	}
	if status, _ := s.get(t, "/livez"); status != 200 {
		t.Errorf("/livez answers %d", status)
	}
	analyzers[2].Behave(analyzertest.Behaviour{})
	until(t, "packets are taken again", func() bool { status, _, _ := s.send(5); return status == http.StatusAccepted })
	if status, _ := s.get(t, "/readyz"); status != 200 {
		t.Errorf("/readyz answers %d", status)
	}
	s.stop(t)
	s.nothingLost(t, analyzers...)
}

// A distributor that starts before its analyzers detects them without a restart.
func TestAnalyzersStartLater(t *testing.T) {
	analyzers, targets := threeScripted(t)
	for _, a := range analyzers {
		a.Behave(analyzertest.Behaviour{Refuse: true})
	}
	s := startAlone(t, quick(t, targets...))
	if status, _, _ := s.send(1); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d before any analyzer runs", status)
	}
	for _, a := range analyzers {
		a.Behave(analyzertest.Behaviour{})
	}
	until(t, "all are healthy", func() bool { return s.eligible() == 3 })
	status, _, body := s.send(1)
	if status != http.StatusAccepted {
		t.Errorf("answered %d %s", status, body)
	}
	s.stop(t)
	s.nothingLost(t, analyzers...)
}

// Packets that analyzers reject become dead letters.
func TestRefusedPacketsBecomeDeadLetters(t *testing.T) {
	a := analyzertest.New(t)
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	s := startSystem(t, config)
	a.Behave(analyzertest.Behaviour{Status: 400})
	for range 10 {
		s.send(3)
	}
	until(t, "all packets are dead letters", func() bool { return s.Status().DeadLettered.Packets == 10 })
	a.Behave(analyzertest.Behaviour{Rejected: map[string]string{"13": "too_large"}})
	s.send(1, 1, 1, 1, 1)
	until(t, "the line ends", func() bool { return s.Status().DeadLettered.Packets == 11 })
	s.onlyAccepted(t)
	if !s.Status().Analyzers[0].Healthy {
		t.Error("refusals are held against the analyzer")
	}
	seen := s.scrape(t)
	if got := seen["distributor_dead_lettered_messages_total{analyzer=one,reason=malformed}"]; got != 30 {
		t.Errorf("%v messages counted", got)
	}
	s.stop(t)
	files, err := filepath.Glob(filepath.Join(config.DataDir, "dead-letter", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files: %v, %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(text), "\n"); got != 11 {
		t.Errorf("%d dead letters are written down:\n%s", got, text)
	}
	for id := 1; id <= 10; id++ {
		if !strings.Contains(string(text), fmt.Sprintf(`"packet_id":"%d"`, id)) {
			t.Errorf("packet %d is not among the dead letters", id)
		}
	}
}

// A stop with a hanging analyzer ends at its deadline and returns the undelivered volume.
func TestStopWithAHangingAnalyzer(t *testing.T) {
	a := analyzertest.New(t)
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	config.Analyzer.Timeout = time.Hour
	config.Analyzer.ProbeInterval = time.Hour
	s := startSystem(t, config)
	a.Behave(analyzertest.Behaviour{Hang: true})
	for range 50 {
		s.send(2)
	}
	s.onlyAccepted(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	left, err := s.Stop(ctx)
	if left.Packets != 50 || left.Messages != 100 || err != nil {
		t.Errorf("the stop left %v: %v", left, err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the stop took %v", took)
	}
	if got := s.Status().Unaccounted; got != 0 {
		t.Errorf("%d messages are unaccounted", got)
	}
}

// A client that stalls within a request does not delay a stop, and the closing of its connection is
// not logged as an error.
func TestStopWithAStalledClient(t *testing.T) {
	a := analyzertest.New(t)
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	config.Server.Timeouts.Read = time.Hour
	s := startSystem(t, config)
	stalled, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	if _, err := io.WriteString(stalled, "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	s.send(1)
	s.onlyAccepted(t)
	began := time.Now()
	s.stop(t)
	if took := time.Since(began); took >= stopTimeout {
		t.Errorf("the stop took %v", took)
	}
	s.nothingLost(t, a)
}

// While a stop still answers requests, retries are expedited: requests may wait for their
// packets.
func TestStopExpeditesRetries(t *testing.T) {
	t.Parallel()
	a := analyzertest.New(t)
	config := quick(t, Target{ID: "one", URL: a.URL(), Weight: 1})
	config.Analyzer.Retries, config.Analyzer.MaxFailures = 0, 100
	config.Intake.AckTimeout = time.Hour
	s := startSystem(t, config)
	a.Behave(analyzertest.Behaviour{Status: 500})
	answered := make(chan string, 1)
	go func() {
		status, body := s.ask(t, "?ack=delivered", "p")
		answered <- fmt.Sprint(status, body)
	}()
	const delay = 16 * time.Second // after these failures the packet is in the retry queue of package router
	until(t, "the analyzer has failed six times", func() bool { return a.Requests() == 6 })
	a.Behave(analyzertest.Behaviour{})
	began := time.Now()
	s.stop(t)
	if took := time.Since(began); took >= delay-time.Second {
		t.Errorf("the stop took %v", took)
	}
	if got := <-answered; !strings.HasPrefix(got, `200{"status":"delivered"`) {
		t.Errorf("answered %s", got)
	}
}

// A stop under load delivers all accepted packets.
func TestStopUnderLoad(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	analyzers[1].Behave(analyzertest.Behaviour{Delay: 20 * time.Millisecond})
	end := s.load(4, true)
	defer end()
	until(t, "much is accepted", func() bool { return s.acceptedPackets() > 300 })
	s.stop(t)
	end()
	s.nothingLost(t, analyzers...)
}
