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
)

// takenBy returns the number of packets that an analyzer took.
func takenBy(a *analyzertest.Analyzer) int { return len(a.Taken()) }

// Each analyzer fails in turn under load: emitters get no error, no accepted packet is lost,
// its traffic goes to the others, and it recovers with a slow start.
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
			s := startSystem(t, quick(t, targets...))
			end := s.load(3, false)
			defer end()
			ill := number % len(analyzers)
			victim := analyzers[ill]
			until(t, "it gets packets", func() bool { return takenBy(victim) > 20 })

			victim.Behave(failure.behaviour)
			until(t, "it is not eligible", func() bool { return s.Status().Analyzers[ill].Effective == 0 })
			before, accepted := takenBy(victim), s.acceptedPackets()
			until(t, "traffic continues", func() bool { return s.acceptedPackets() > accepted+150 })
			if got := takenBy(victim) - before; got > 0 {
				t.Errorf("it took %d packets while it was ill", got)
			}

			// What it was sent before it was out it may still take, and what it failed
			// with waits to be tried again.
			until(t, "what it had is delivered", func() bool {
				accepted, status := s.acceptedPackets(), s.Status()
				return status.Analyzers[ill].InFlight.Packets == 0 && int64(accepted)-status.Delivered.Packets < 10
			})
			victim.Behave(analyzertest.Behaviour{})
			until(t, "it is back", func() bool {
				health := s.Status().Analyzers[ill].Health
				return health == "warming up" || health == "healthy" // which it soon is
			})
			before, accepted = takenBy(victim), s.acceptedPackets()
			until(t, "it gets packets again", func() bool { return takenBy(victim) > before+20 })
			if got, all := takenBy(victim)-before, s.acceptedPackets()-accepted; float64(got) > 1.3*targets[ill].Weight*float64(all)+20 {
				t.Errorf("it was flooded: it got %d of %d packets", got, all)
			}

			end()
			s.only(t, http.StatusAccepted)
			s.stop(t)
			s.nothingLost(t, analyzers...)
			if got := s.Status().Unaccounted; got != 0 {
				t.Errorf("%d messages are unaccounted", got)
			}
		})
	}
}

// An analyzer that answers 429 with Retry-After is paused and stays healthy.
func TestThrottlingAnalyzer(t *testing.T) {
	analyzers, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	analyzers[0].Behave(analyzertest.Behaviour{Status: 429, RetryAfter: "60"})
	end := s.load(2, false)
	defer end()
	until(t, "it pauses", func() bool { return s.Status().Analyzers[0].Health == "pausing" })
	until(t, "it is not eligible", func() bool { return s.Status().Analyzers[0].Effective == 0 })
	// Another sender may have begun a request when the first answer came.
	until(t, "no request is in flight", func() bool { return s.Status().Analyzers[0].InFlight.Packets == 0 })
	requests, accepted := analyzers[0].Requests(), s.acceptedPackets()
	until(t, "traffic continues", func() bool { return s.acceptedPackets() > accepted+150 })
	end()
	if got := analyzers[0].Requests(); got != requests || got > s.Config().Analyzer.Concurrency {
		t.Errorf("it got %d requests, %d of them in its pause", got, got-requests)
	}
	if _, health := s.get(t, "/health"); health["healthy_analyzers"] != 3.0 {
		t.Errorf("health: %v", health)
	}
	s.only(t, http.StatusAccepted)
	s.stop(t)
	s.nothingLost(t, analyzers...)
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
	until(t, "all are thought ill", func() bool { return s.eligible() == 0 })
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

// A distributor that starts before its analyzers finds them by itself.
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
	until(t, "they end", func() bool { return s.Status().DeadLettered.Packets == 10 })
	a.Behave(analyzertest.Behaviour{Rejected: map[string]string{"13": "too_large"}})
	s.send(1, 1, 1, 1, 1)
	until(t, "the line ends", func() bool { return s.Status().DeadLettered.Packets == 11 })
	s.only(t, http.StatusAccepted)
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
	s.only(t, http.StatusAccepted)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	left, err := s.Stop(ctx)
	if left.Packets != 50 || left.Messages != 100 || err != nil {
		t.Errorf("the stop left %v: %v", left, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if got := s.Status().Unaccounted; got != 0 {
		t.Errorf("%d messages are unaccounted", got)
	}
}

// A client that stalls within a request does not delay a stop, and closing its connection is
// no error.
func TestStopWithAStalledClient(t *testing.T) {
	a := analyzertest.New(t)
	s := startSystem(t, quick(t, Target{ID: "one", URL: a.URL(), Weight: 1}))
	stalled, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Close()
	if _, err := io.WriteString(stalled, "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	s.send(1)
	s.only(t, http.StatusAccepted)
	began := time.Now()
	s.stop(t)
	if took := time.Since(began); took > 10*time.Second {
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
	config.Intake.AckTimeout = time.Minute
	s := startSystem(t, config)
	a.Behave(analyzertest.Behaviour{Status: 500})
	answered := make(chan string, 1)
	go func() {
		status, body := s.ask(t, "?ack=delivered", "p")
		answered <- fmt.Sprint(status, body)
	}()
	// The delay after these failures is eight seconds; see the retry queue of package router.
	until(t, "it has failed five times", func() bool { return a.Requests() == 5 })
	a.Behave(analyzertest.Behaviour{})
	began := time.Now()
	s.stop(t)
	if took := time.Since(began); took > 5*time.Second {
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
