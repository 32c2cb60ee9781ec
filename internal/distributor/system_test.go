package distributor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/packet"
)

// system is a distributor with analyzers and emitters.
type system struct {
	*Distributor
	client *http.Client // for requests of the test; load has a connection for each sender

	packets atomic.Int64 // number of created packets

	mu        sync.Mutex
	accepted  map[string]int // messages, by packet id
	responses map[int]int    // how often each status was answered
}

// quick returns a configuration with short times.
func quick(t testing.TB, targets ...Target) Config {
	t.Helper()
	config := DefaultConfig()
	config.Host, config.Port, config.MetricsListen = "127.0.0.1", 0, "127.0.0.1:0"
	config.Targets = targets
	config.DataDir = t.TempDir()
	config.Server.DrainDelay = 0
	config.Analyzer.ProbeInterval = 100 * time.Millisecond
	config.Analyzer.ProbeTimeout, config.Analyzer.Timeout = time.Minute, time.Minute // a slow response on a busy machine is no failure
	config.Analyzer.SlowStart = 200 * time.Millisecond
	return config
}

// threeScripted are analyzers with the weights 0.5, 0.3 and 0.2.
func threeScripted(t testing.TB) ([]*analyzertest.Analyzer, []Target) {
	t.Helper()
	var analyzers []*analyzertest.Analyzer
	var targets []Target
	for i, weight := range []float64{0.5, 0.3, 0.2} {
		a := analyzertest.New(t)
		analyzers = append(analyzers, a)
		targets = append(targets, Target{ID: fmt.Sprint("analyzer-", i+1), URL: a.URL(), Weight: weight})
	}
	return analyzers, targets
}

// startSystem starts a distributor and waits until all analyzers are healthy.
func startSystem(t testing.TB, config Config) *system {
	t.Helper()
	s := startAlone(t, config)
	until(t, "all analyzers are healthy", func() bool { return s.eligible() == len(config.Targets) })
	return s
}

// startAlone starts a distributor, whether or not it has analyzers. It stops
// with the test, if not before.
func startAlone(t testing.TB, config Config) *system {
	t.Helper()
	return startOn(t, Sockets{}, config)
}

// startOn is startAlone with sockets.
func startOn(t testing.TB, sockets Sockets, config Config) *system {
	t.Helper()
	d, err := NewOn(sockets, config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.Start(t.Context())
	transport := &http.Transport{}
	s := &system{
		Distributor: d, client: &http.Client{Transport: transport},
		accepted: make(map[string]int), responses: make(map[int]int),
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_, _ = s.Stop(ctx)
	})
	return s
}

// newPacket returns a packet with a number of messages.
func (s *system) newPacket(messages int) (id string, body []byte) {
	id = fmt.Sprint(s.packets.Add(1))
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"emitter_id":"e","packet_id":"%s","messages":[`, id)
	for i := range messages {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"timestamp":1,"level":"INFO","message":"m"}`)
	}
	b.WriteString("]}")
	return id, b.Bytes()
}

// send sends packets of these numbers of messages, as lines when there are several, and records the
// accepted packets.
func (s *system) send(sizes ...int) (status int, header http.Header, body string) {
	return s.sendOver(s.client, sizes...)
}

func (s *system) sendOver(client *http.Client, sizes ...int) (status int, header http.Header, body string) {
	kind := "application/json"
	accepted := make(map[string]int)
	var text []byte
	for _, messages := range sizes {
		id, one := s.newPacket(messages)
		accepted[id] = messages
		text = append(text, one...)
		if len(sizes) > 1 {
			text = append(text, '\n')
			kind = "application/x-ndjson"
		}
	}
	response, err := client.Post("http://"+s.Addr()+"/ingest", kind, bytes.NewReader(text))
	if err != nil {
		s.note(-1, nil)
		return 0, nil, err.Error()
	}
	defer response.Body.Close()
	content, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusAccepted {
		accepted = nil
	}
	s.note(response.StatusCode, accepted)
	return response.StatusCode, response.Header, string(content)
}

func (s *system) note(status int, accepted map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.responses[status]++
	for id, messages := range accepted {
		s.accepted[id] = messages
	}
}

// get reads a JSON document.
func (s *system) get(t testing.TB, path string) (status int, document map[string]any) {
	t.Helper()
	response, err := s.client.Get("http://" + s.Addr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, document
}

// load sends packets of 1 to 100 messages over several connections until the returned function is
// called.
func (s *system) load(connections int, lines bool) (end func()) {
	done := make(chan struct{})
	var sending sync.WaitGroup
	for seed := range connections {
		sending.Go(func() {
			random := rand.New(rand.NewPCG(uint64(seed), 1))
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			for {
				select {
				case <-done:
					return
				default:
				}
				sizes := make([]int, 1)
				if lines {
					sizes = make([]int, 1+random.IntN(40))
				}
				for i := range sizes {
					sizes[i] = 1 + random.IntN(100)
				}
				s.sendOver(client, sizes...)
			}
		})
	}
	var once sync.Once
	return func() {
		once.Do(func() {
			close(done)
			sending.Wait()
		})
	}
}

// onlyAccepted checks that every request was accepted, and that there was at least one.
func (s *system) onlyAccepted(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.responses) != 1 || s.responses[http.StatusAccepted] == 0 {
		t.Errorf("the responses were %v, want only %d", s.responses, http.StatusAccepted)
	}
}

func (s *system) acceptedPackets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accepted)
}

// shareOf returns the share of an analyzer in the messages that were delivered.
func (s *system) shareOf(id string) float64 {
	var got float64
	for _, m := range s.router.Stats().Members {
		if m.ID == id {
			got = float64(m.Delivered.Messages)
		}
	}
	return got / float64(s.Status().Delivered.Messages)
}

// nothingLost checks that an analyzer took each accepted packet.
func (s *system) nothingLost(t testing.TB, analyzers ...*analyzertest.Analyzer) {
	t.Helper()
	taken := make(map[string]bool)
	for _, a := range analyzers {
		for id := range a.Taken() {
			taken[id] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lost := 0
	for id := range s.accepted {
		if !taken[id] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d accepted packets were lost", lost, len(s.accepted))
	}
}

// stopTimeout is the timeout of stop.
const stopTimeout = time.Minute

// stop stops the distributor and checks that all packets were delivered.
func (s *system) stop(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	left, err := s.Stop(ctx)
	if left != (packet.Volume{}) || err != nil {
		t.Errorf("a stop left %v: %v", left, err)
	}
}

// sample is the result of one scrape.
type sample map[string]float64

// scrape returns all values of one scrape, by name and labels, such as
// name{analyzer=analyzer-1}.
func (s *system) scrape(t testing.TB) sample {
	t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(sample)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := family.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			switch {
			case m.GetCounter() != nil:
				values[name] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				values[name] = m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				values[name] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return values
}

// until polls until a condition holds.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for !condition() {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("not within the time limit: %s", what)
		}
	}
}
