package emitter

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dueTimes runs produce under a fake clock with onPacket in place of the
// workers, and returns the due time of each packet, relative to the start.
func dueTimes(t *testing.T, config Config, stdin io.Reader, onPacket func(number int)) (all []time.Duration) {
	t.Helper()
	e, err := New(config, Dependencies{Logger: slog.New(slog.DiscardHandler), Stdin: stdin})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	done := make(chan error, 1)
	go func() {
		done <- e.produce(t.Context(), t.Context())
		close(e.queue)
	}()
	for p := range e.queue {
		all = append(all, p.due.Sub(start))
		onPacket(len(all))
		e.byteBudget.release(len(p.body))
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := e.source.close(); err != nil {
		t.Error(err)
	}
	return all
}

// Packets that wait for a worker do not delay the schedule.
func TestScheduleIsOpenLoop(t *testing.T) {
	config := fileConfig(writeFile(t, []byte(strings.Repeat("a line\n", 50))), "1")
	config.Rate, config.Concurrency = 100, 1
	synctest.Test(t, func(t *testing.T) {
		for i, due := range dueTimes(t, config, nil, func(int) { time.Sleep(time.Minute) }) {
			if want := time.Duration(i) * 10 * time.Millisecond; due != want {
				t.Fatalf("packet %d is due at %v, want %v", i, due, want)
			}
		}
	})
}

// While a pipe is idle the schedule is suspended: no burst follows, and no
// packet is late.
func TestIdlePipeSuspendsSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		config := fileConfig("-", "1")
		config.Rate = 10
		go func() {
			for _, part := range []string{"first\n", strings.Repeat("a line\n", 5)} {
				if _, err := io.WriteString(to, part); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour)
			}
			if err := to.Close(); err != nil {
				t.Error(err)
			}
		}()
		all := dueTimes(t, config, from, func(int) {})
		if len(all) != 6 || all[0] != 0 || all[1] != time.Hour {
			t.Fatalf("due at %v", all)
		}
		for i := 2; i < len(all); i++ {
			if all[i]-all[i-1] != 100*time.Millisecond {
				t.Errorf("due at %v", all)
			}
		}
	})
}

// Latency is measured from the due time of a packet.
func TestLatencyIsMeasuredFromDueTime(t *testing.T) {
	target := serve(t, func(http.ResponseWriter, int) int { return http.StatusAccepted })
	to, err := newTargets(Config{Target: target.URL}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := sender{targets: to, connection: newConnection("", time.Minute), counters: newCounters("run")}
	defer s.connection.close()
	p := &outgoing{due: time.Now().Add(-30 * time.Minute)}
	if err := newTestGenerator(t, "5").next(ctx, p); err != nil {
		t.Fatal(err)
	}
	if !s.send(ctx, p) || s.counters.snapshot().Latency.P50 < 29*time.Minute {
		t.Errorf("%+v", s.counters.snapshot().Latency)
	}
}
