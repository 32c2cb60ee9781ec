package distributor

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"net/netip"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/autoscale"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/discovery"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
	"github.com/logstreamer/logstreamer/internal/server"
)

// live is a distributor with one analyzer, whose settings change.
type live struct {
	*system
	t        *testing.T
	analyzer *analyzertest.Analyzer
}

func (l *live) set(change func(*Config)) {
	l.t.Helper()
	if err := l.reconfigure(l.t, change); err != nil {
		l.t.Fatal(err)
	}
}

// answers sends a packet and checks the response.
func (l *live) answers(status int, text string, messages int) {
	l.t.Helper()
	if got, header, body := l.send(messages); got != status || !strings.Contains(body, text) || status == 503 && header.Get("Retry-After") == "" {
		l.t.Errorf("answered %d %v %s, want %d with %q", got, header, body, status, text)
	}
}

// fill sends packets until one is refused, and returns how many were accepted.
func (l *live) fill(messages int) (accepted int) {
	for status := 202; status == 202; accepted++ {
		status, _, _ = l.send(messages)
	}
	return accepted - 1
}

func (l *live) hang(requests int64) {
	l.analyzer.Behave(analyzertest.Behaviour{Hang: true})
	for range 10 {
		l.send(1)
	}
	until(l.t, "packets are in flight", func() bool { return l.Status().InFlight.Packets == requests })
}

func paused(c *Config) { c.Dispatch = DispatchPaused }

// scales checks that the next decision uses a setting.
func scales(change func(*autoscale.Config)) func(l *live) {
	return func(l *live) {
		l.set(func(c *Config) { change(&c.Autoscale) })
		until(l.t, "a decision has the setting", func() bool {
			decisions := l.Scale()
			return len(decisions) == 1 && decisions[0].Config == l.Config().Autoscale && decisions[0].Desired == l.Config().Autoscale.Min
		})
	}
}

// liveSettings checks that each live setting takes effect. Package upstream tests the settings of
// one analyzer as well.
var liveSettings = map[string]func(l *live){
	"ANALYZERS": func(l *live) {
		other := analyzertest.New(l.t)
		l.set(func(c *Config) { c.Targets = append(c.Targets, Target{ID: "b", URL: other.URL(), Weight: 3}) })
		if m := l.router.Stats().Members; m[0].Target != 0.25 || m[1].Target != 0.75 {
			l.t.Errorf("%+v", m)
		}
		until(l.t, "it gets packets", func() bool { l.send(1); return takenBy(other) > 0 })
	},
	"INTAKE": func(l *live) {
		l.set(func(c *Config) { c.Intake.Mode = intake.ModePaused })
		l.answers(503, `"code":"paused"`, 1)
		if got := l.scrape(l.t)["distributor_refused_packets_total{reason=paused}"]; got != 1 {
			l.t.Errorf("%v refusals are counted", got)
		}
		if status, _ := l.get(l.t, "/readyz"); status != 503 {
			l.t.Errorf("/readyz answers %d", status)
		}
		l.set(func(c *Config) { c.Intake.Mode = intake.ModeOpen })
		l.answers(202, "", 1)
	},
	"DISPATCH": func(l *live) {
		l.set(paused)
		l.answers(202, "", 1)
		if status := l.Status(); status.Waiting.Packets != 1 || status.Unaccounted != 0 {
			l.t.Errorf("%+v", status)
		}
		l.set(func(c *Config) { c.Dispatch = DispatchRunning })
		until(l.t, "it is delivered", func() bool { return l.Status().Delivered.Packets == 1 })
	},
	"ROUTING": func(l *live) {
		full := analyzertest.New(l.t)
		full.Behave(analyzertest.Behaviour{Hang: true})
		l.set(func(c *Config) {
			c.Routing, c.Analyzer.QueuePackets = RoutingStrict, 1
			c.Targets = append(c.Targets, Target{ID: "full", URL: full.URL(), Weight: 1})
		})
		for range 20 {
			l.send(1)
		}
		until(l.t, "packets wait for the full analyzer", func() bool { return takenBy(l.analyzer) > 0 && l.Status().Waiting.Packets > 15 })
		if !routing(l.Config(), nil).Strict { // a wait budget may cause the wait as well
			l.t.Error("the router is not strict")
		}
		l.set(func(c *Config) { c.Routing = RoutingAdaptive })
		until(l.t, "the other one takes over", func() bool { return l.Status().Delivered.Packets == 19 })
		l.set(func(c *Config) { c.remove("full"); c.DrainTimeout = 0 })
	},
	"MAX_BODY_BYTES": func(l *live) {
		l.set(func(c *Config) { c.Native.MaxBodyBytes = 200 })
		l.answers(413, "200 bytes", 10)
		l.set(func(c *Config) { c.Native.MaxBodyBytes = 2000 })
		l.answers(202, "", 10)
	},
	"MAX_PACKET_MESSAGES": func(l *live) {
		l.set(func(c *Config) { c.Native.MaxPacketMessages = 2 })
		l.answers(413, "more than 2 messages", 3)
		l.set(func(c *Config) { c.Native.MaxPacketMessages = 3 })
		l.answers(202, "", 3)
	},
	"INGEST_BUFFER_SIZE": func(l *live) {
		l.set(func(c *Config) { paused(c); c.Memory.QueuePackets = 2 })
		if got := l.fill(1); got != 2 {
			l.t.Errorf("%d packets are accepted", got)
		}
		l.set(func(c *Config) { c.Memory.QueuePackets = 1 })
		l.answers(503, "overloaded", 1)
		l.set(func(c *Config) { c.Memory.QueuePackets = 3 })
		l.answers(202, "", 1)
	},
	"MEMORY_LIMIT_BYTES": func(l *live) {
		l.set(func(c *Config) { paused(c); c.Native.MaxBodyBytes, c.Memory.LimitBytes = 10_000, 30_000 })
		if got := l.fill(50); got == 0 || got > 15 {
			l.t.Errorf("%d packets are accepted", got)
		}
		l.set(func(c *Config) { c.Memory.LimitBytes = 20_000 })
		l.answers(503, "overloaded", 50)
		l.set(func(c *Config) { c.Memory.LimitBytes = 3000 })
		l.answers(413, "MEMORY_LIMIT_BYTES", 50) // it never fits
		l.set(func(c *Config) { c.Memory.LimitBytes = 60_000 })
		l.answers(202, "", 50)
	},
	"JOURNAL_MAX_BYTES": nil, // TestJournalLimitIsLive
	"PER_ANALYZER_QUEUE_SIZE": func(l *live) {
		l.set(func(c *Config) { c.Analyzer.QueuePackets = 2 })
		l.hang(2)
		l.set(func(c *Config) { c.Analyzer.QueuePackets = 1 })
		l.answers(202, "", 1)
		if status := l.Status(); status.Queued.Plus(status.InFlight).Packets > 2 {
			l.t.Errorf("more are bound: %+v", status)
		}
		l.set(func(c *Config) { c.Analyzer.QueuePackets = 5 })
		until(l.t, "more are bound", func() bool { status := l.Status(); return status.Queued.Plus(status.InFlight).Packets == 5 })
	},
	"SENDER_CONCURRENCY": func(l *live) {
		l.set(func(c *Config) { c.Analyzer.Concurrency = 2 })
		l.hang(2)
		l.set(func(c *Config) { c.Analyzer.Concurrency = 4 })
		until(l.t, "more are in flight", func() bool { return l.Status().InFlight.Packets == 4 })
	},
	"SENDER_RETRIES": nil, "SENDER_TIMEOUT_MS": nil, "HEALTH_CHECK_INTERVAL_SEC": nil, "HEALTH_CHECK_TIMEOUT_SEC": nil,
	"MAX_FAILURES": nil, "SLOW_START_SEC": nil, // package upstream
	"ACK": func(l *live) {
		l.set(func(c *Config) { c.Intake.Ack = intake.AckDelivered })
		l.answers(200, `"delivered"`, 1)
	},
	"ACK_TIMEOUT_MS": func(l *live) {
		l.analyzer.Behave(analyzertest.Behaviour{Hang: true})
		l.set(func(c *Config) { c.Intake.Ack, c.Intake.AckTimeout = intake.AckDelivered, time.Millisecond })
		l.answers(504, "after 1ms", 1)
	},
	"SHED": func(l *live) {
		l.set(func(c *Config) {
			paused(c)
			c.Memory.QueuePackets = 100
			if err := c.Intake.Shed.UnmarshalText([]byte("INFO@1%")); err != nil {
				l.t.Fatal(err)
			}
		})
		l.answers(202, "", 1)
		l.answers(202, "", 1)
		l.answers(503, `"shed"`, 1)
		l.set(func(c *Config) { c.Intake.Shed = nil })
		l.answers(202, "", 1)
	},
	"RATE_LIMIT": func(l *live) {
		l.set(func(c *Config) { c.Rate.Rate, c.Rate.Burst = 0.001, 5 })
		l.answers(202, "", 5)
		l.answers(429, `"rate_limited"`, 1)
		l.set(func(c *Config) { c.Rate.Rate, c.Rate.Burst = 0, 0 })
		l.answers(202, "", 1)
	},
	"RATE_LIMIT_SCOPE": nil, // TestRateLimitOfACluster
	// TestChangeOfCredentialFiles
	"TLS_CERT": nil, "TLS_KEY": nil, "TLS_CLIENT_CA": nil, "INGEST_TOKENS_FILE": nil,
	"ANALYZER_CA": nil, "ANALYZER_CERT": nil, "ANALYZER_KEY": nil, "ANALYZER_SERVER_NAME": nil,
	"RATE_BURST": func(l *live) {
		l.set(func(c *Config) { c.Rate.Rate, c.Rate.Burst = 0.001, 5 })
		l.answers(202, "", 5)
		l.set(func(c *Config) { c.Rate.Burst = 8 })
		l.answers(202, "", 3)
		l.answers(429, `"rate_limited"`, 1)
	},
	"LIMITS": func(l *live) {
		l.set(func(c *Config) { c.Rate.Limits = ratelimit.Limits{{Emitter: "e", Rate: 0.001, Burst: 1}} })
		l.answers(202, "", 1)
		l.answers(429, `"rate_limited"`, 1)
		l.set(func(c *Config) { c.Rate.Limits[0].Emitter = "other" })
		l.answers(202, "", 1)
	},
	"INPUT_MAX_BODY_BYTES": func(l *live) {
		receive := func() *problem.Problem {
			request := server.NewRequest(&http1.Head{Length: 5}, strings.NewReader("12345"), netip.Addr{}, time.Now())
			received, fault := l.receiverOf("any").Read(l.t.Context(), request)
			if fault == nil {
				l.intake.Memory().Drop(received)
			}
			return fault
		}
		if fault := receive(); fault != nil {
			l.t.Errorf("%+v", fault)
		}
		l.set(func(c *Config) { c.Receiver.MaxBodyBytes = 4 })
		if fault := receive(); fault == nil || fault.Code != problem.TooLarge {
			l.t.Errorf("5 bytes: %+v", fault)
		}
	},
	"DRAIN_TIMEOUT_SEC": func(l *live) {
		l.hang(8)
		other := analyzertest.New(l.t)
		l.set(func(c *Config) { c.Targets, c.DrainTimeout = Targets{{ID: "b", URL: other.URL(), Weight: 1}}, 0 })
		until(l.t, "what the removed one held is delivered", func() bool { return takenBy(other) == 10 })
	},
	"LEASE_TTL_SEC": func(l *live) {
		l.set(func(c *Config) { c.LeaseTTL = time.Hour })
		lease, _, err := l.Register(l.t.Context(), discovery.Lease{ID: "x", URL: analyzertest.New(l.t).URL(), Weight: 1})
		if err != nil || time.Until(lease.Expires) < 59*time.Minute {
			l.t.Errorf("%v, %v", lease, err)
		}
	},
	"DRAIN_SEC": func(l *live) {
		l.set(func(c *Config) { c.Server.DrainDelay = time.Hour })
		ctx, cancel := context.WithCancel(l.t.Context())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			_, _ = l.Stop(ctx)
		}()
		until(l.t, "a stop answers 503 for as long", func() bool { status, _ := l.get(l.t, "/readyz"); return status == http.StatusServiceUnavailable })
		l.answers(503, `"draining"`, 1)
		cancel()
		<-stopped
	},
	"AUTOSCALE":              nil, // package control
	"AUTOSCALE_DRAIN_SEC":    scales(func(c *autoscale.Config) { c.DrainTime = time.Second }),
	"AUTOSCALE_UTILIZATION":  scales(func(c *autoscale.Config) { c.Utilization = 0.5 }),
	"AUTOSCALE_MIN":          scales(func(c *autoscale.Config) { c.Min = 7 }),
	"AUTOSCALE_MAX":          scales(func(c *autoscale.Config) { c.Min, c.Max = 20, 20 }),
	"AUTOSCALE_QUIET_SEC":    scales(func(c *autoscale.Config) { c.QuietTime = time.Second }),
	"AUTOSCALE_COOLDOWN_SEC": scales(func(c *autoscale.Config) { c.Cooldown = time.Second }),
	"SHUTDOWN_TIMEOUT_SEC": func(l *live) {
		l.set(func(c *Config) { c.ShutdownTimeout = time.Minute })
		if got := l.Config().ShutdownTimeout; got != time.Minute { // which the autoscale command uses
			l.t.Errorf("the timeout is %v", got)
		}
	},
}

func TestLiveSettings(t *testing.T) {
	for _, s := range config.New(DefaultConfig(), func(string) (string, bool) { return "", false }).Settings {
		run, listed := liveSettings[s.Env]
		if listed != s.Live {
			t.Errorf("%s is live: %v, tested: %v", s.Env, s.Live, listed)
		}
		if run == nil {
			continue
		}
		t.Run(s.Env, func(t *testing.T) {
			a := analyzertest.New(t)
			settings := quick(t, Target{ID: "a", URL: a.URL(), Weight: 1})
			settings.Analyzer.Timeout, settings.Analyzer.MaxFailures = time.Hour, 1000
			run(&live{startSystem(t, settings), t, a})
		})
	}
}

// The maximum size of the disk journal, and its memory limit, change while it runs.
func TestJournalLimitIsLive(t *testing.T) {
	a := analyzertest.New(t)
	settings := quick(t, Target{ID: "a", URL: a.URL(), Weight: 1})
	settings.Journal, settings.JournalMaxBytes, settings.Native.MaxBodyBytes = JournalDisk, 2<<20, 200_000
	settings.Dispatch = DispatchPaused
	l := &live{startSystem(t, settings), t, a}
	accepted := l.fill(1000)
	l.set(func(c *Config) { c.JournalMaxBytes, c.Memory.LimitBytes = 1<<20, 600_000 }) // below what is held
	l.answers(503, "overloaded", 1000)
	l.set(func(c *Config) { c.JournalMaxBytes = 4 << 20 })
	l.answers(202, "", 1000)
	if got := l.scrape(t)["distributor_journal_limit_bytes"]; got != 4<<20 {
		t.Errorf("the metric says %v", got)
	}
	l.set(func(c *Config) { c.Dispatch = DispatchRunning })
	until(t, "all is delivered", func() bool { return l.Status().Delivered.Packets == int64(accepted)+1 })
}
