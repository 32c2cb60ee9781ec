package emitter

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func makeTargets(t *testing.T, setting, emitterID string, resolver Resolver) *targets {
	t.Helper()
	to, err := newTargets(Config{Target: setting, EmitterID: emitterID}, resolver, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

const threeTargets = "http://distributor-1:8080/ingest,http://distributor-2:8080/ingest,http://distributor-3:8080/ingest"

// docs/sharding-vectors.json has the order of the emitter web-1.
func TestTargetsInTheOrderOfDocs(t *testing.T) {
	to := makeTargets(t, threeTargets, "web-1", nil)
	order := namesOf(to.order)
	want := []string{"distributor-3:8080", "distributor-2:8080", "distributor-1:8080"}
	if !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}

// A failing target is skipped, tried by one packet per second, and used again when it has accepted
// that packet.
func TestFailingTargetIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := makeTargets(t, threeTargets, "web-1", nil)
		pick := func() *target { return to.pick("web-1") }
		one, two, three := to.order[0], to.order[1], to.order[2]
		failure := attemptResult{reason: errConnect}
		expect := func(want *target) {
			t.Helper()
			if got := pick(); got != want {
				t.Fatalf("picked %s, want %s", got.name, want.name)
			}
		}
		expect(one)
		if !to.fail(one, failure) {
			t.Error("no other target")
		}
		expect(two)
		time.Sleep(holdTime)
		expect(one) // tried by one packet
		expect(two)
		to.fail(one, attemptResult{reason: errConnect, retryAfter: time.Minute})
		to.fail(two, failure)
		expect(three)
		if to.fail(three, failure) {
			t.Error("all fail and another one may take the packet")
		}
		time.Sleep(holdTime / 2)
		expect(two) // the first of the targets that may be tried first
		to.succeed(two)
		expect(two)
		time.Sleep(time.Minute)
		expect(one)
		to.succeed(one)
		expect(one)
		expect(one)
		if to.fail(one, attemptResult{cause: causeRateLimited, reason: errors.New("429")}) || pick() != one {
			t.Error("an emitter over its rate goes elsewhere")
		}
	})
}

// recorder is a distributor that records the header and the body of each packet.
type recorder struct {
	*httptest.Server
	mu      sync.Mutex
	headers []string // guarded by mu
	refuse  bool     // guarded by mu
}

func startRecorder(t *testing.T) *recorder {
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		_, _ = io.Copy(io.Discard, request.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		r.headers = append(r.headers, strings.Join(request.Header.Values(emitterIDHeader), "|"))
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.headers)
}

// All packets of an emitter go to its first distributor; while that one refuses packets or cannot
// be reached, they go to its second.
func TestPacketsGoToTheNextTarget(t *testing.T) {
	for _, how := range []string{"well", "refusing", "unreachable"} {
		t.Run(how, func(t *testing.T) {
			servers := map[string]*recorder{}
			var urls []string
			for range 3 {
				r := startRecorder(t)
				u, _ := url.Parse(r.URL)
				servers[u.Host] = r
				urls = append(urls, r.URL+"/ingest")
			}
			config := testConfig(t, strings.Join(urls, ","))
			order := makeTargets(t, config.Target, config.EmitterID, nil).order
			want := 0
			switch first := servers[order[0].name]; how {
			case "refusing":
				first.refuse, want = true, 1
			case "unreachable":
				first.Close()
				want = 1
			}
			report := run(t.Context(), t, config, Dependencies{})
			if report.Packets != (Outcome{Generated: 10, Accepted: 10}) {
				t.Errorf("%+v", report.Packets)
			}
			for i, m := range order {
				if got := len(servers[m.name].taken()); i == want && got != 10 || i != want && got != 0 {
					t.Errorf("number %d of the order took %d packets", i+1, got)
				}
			}
		})
	}
}

// The header names the emitter of each packet, also of a packet that is read as a line, and is
// omitted if a header cannot carry the name.
func TestEmitterIDHeader(t *testing.T) {
	r := startRecorder(t)
	const raw = `{"emitter_id":"other","packet_id":"p","messages":[{"timestamp":1,"level":"L","message":"m"}]}`
	config := fileConfig(writeFile(t, []byte("a\n"+raw+"\nb\n")), "1")
	config.Target, config.Concurrency, config.Rate = r.URL, 1, 0
	for id, want := range map[string][]string{
		"e": {"e", "other", "e"}, "münchen": {"münchen", "other", "münchen"}, "two words": {"two words", "other", "two words"},
		"line\nbreak": {"", "other", ""}, " space": {"", "other", ""},
	} {
		r.mu.Lock()
		r.headers = nil
		r.mu.Unlock()
		config.EmitterID = id
		run(t.Context(), t, config, Dependencies{})
		if got := r.taken(); !slices.Equal(got, want) {
			t.Errorf("%q: headers %q, want %q", id, got, want)
		}
	}
}

// scriptedResolver returns its responses in order, and repeats the last one.
type scriptedResolver struct {
	mu        sync.Mutex
	responses [][]string // guarded by mu; nil is an error
}

func (r *scriptedResolver) LookupNetIP(context.Context, string, string) (found []netip.Addr, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	response := r.responses[0]
	if len(r.responses) > 1 {
		r.responses = r.responses[1:]
	}
	if response == nil {
		return nil, errors.New("SERVFAIL")
	}
	for _, text := range response {
		found = append(found, netip.MustParseAddr(text))
	}
	return found, nil
}

// Each address is a target; an error or an empty response changes nothing, and a target that remains
// keeps its state.
func TestTargetsFollowDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resolver := &scriptedResolver{responses: [][]string{nil, {"10.0.0.2", "10.0.0.1", "fd00::1", "10.0.0.1"}, {}, nil, {"10.0.0.3", "::ffff:10.0.0.1"}}}
		to := makeTargets(t, "dns+http://distributors:8080/ingest", "e", resolver)
		if to.pick("e") != nil {
			t.Error("a target before the first response")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); to.run(ctx) }()
		names := func() []string {
			to.mu.Lock()
			defer to.mu.Unlock()
			return namesOf(to.members)
		}
		three := []string{"10.0.0.1:8080", "10.0.0.2:8080", "[fd00::1]:8080"}
		for i, want := range [][]string{nil, three, three, three, {"10.0.0.1:8080", "10.0.0.3:8080"}} {
			synctest.Wait()
			if got := names(); !slices.Equal(got, want) {
				t.Errorf("response %d: %q, want %q", i, got, want)
			}
			if i == 1 {
				to.fail(to.members[0], attemptResult{reason: errConnect})
			}
			time.Sleep(resolveInterval)
		}
		if !to.members[0].failing || to.members[0].url != "http://distributors:8080/ingest" {
			t.Errorf("%+v", to.members[0])
		}
		cancel()
		<-done
	})
}

// A packet waits for the first response.
func TestPacketsWaitForDNS(t *testing.T) {
	r := startRecorder(t)
	u, _ := url.Parse(r.URL)
	config := testConfig(t, "dns+http://distributors:"+u.Port()+"/ingest")
	report := run(t.Context(), t, config, Dependencies{Resolver: &scriptedResolver{responses: [][]string{{"127.0.0.1"}}}})
	if report.Packets.Accepted != 10 || len(r.taken()) != 10 {
		t.Errorf("%+v", report.Packets)
	}
}

func TestInvalidTargets(t *testing.T) {
	for _, setting := range []string{
		"", "a:1,http://b", "http://a,,http://b", "http://a:80/x,http://A/y", "dns+http://a,http://b", "dns+ftp://a", "srv+http://a",
	} {
		if _, _, err := parseTargets(setting); err == nil {
			t.Errorf("%q is taken", setting)
		}
	}
}

// A target without a path is that of the distributor's API.
func TestTargetWithoutPath(t *testing.T) {
	urls, _, err := parseTargets("http://a:8080,http://b:8080/,http://c:8080/x")
	if err != nil || urls[0].Path != "/ingest" || urls[1].Path != "/ingest" || urls[2].Path != "/x" {
		t.Errorf("%v, %v", urls, err)
	}
}

func TestAuthority(t *testing.T) {
	urls, dns, err := parseTargets("https://A, http://[fd00::1]:81/x")
	if err != nil || dns || authority(urls[0]) != "a:443" || authority(urls[1]) != "[fd00::1]:81" {
		t.Errorf("%v, %v", urls, err)
	}
}
