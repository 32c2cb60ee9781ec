package emitter

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestReportTables(t *testing.T) {
	report := Report{
		RunID: "abc", Elapsed: 2 * time.Second,
		Packets:  Outcome{Generated: 2000, Accepted: 1990, Refused: 4, GaveUp: 3, Left: 3},
		Messages: Outcome{Generated: 1234567, Accepted: 1234567},
		Lines:    Lines{Read: 10, Empty: 1, Accepted: 9, Truncated: 7, Repaired: 8},
		Bytes:    1 << 20, Retries: Retries{Connect: 1, Unavailable: 12},
		RefusedByStatus: map[int]int64{413: 1, 400: 3},
		Latency:         Latency{P50: 123456 * time.Nanosecond, P99: 12345 * time.Microsecond, Max: 3 * time.Second},
	}
	var out bytes.Buffer
	if err := report.Write(&out); err != nil {
		t.Fatal(err)
	}
	squeezed := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"run abc, 2s",
		"packets 2,000 1,990 4 3 3 995",
		"messages 1,234,567 1,234,567 0 0 0 617,284",
		"lines 10 1 9 0 0 0",
		"truncated repaired 7 8",
		"latency 120µs - 12.3ms - 3s",
		"retries 1 0 0 0 12 0",
		"1,048,576 bytes accepted; 3 packets refused with 400; 1 packets refused with 413",
	} {
		if !strings.Contains(squeezed, want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
}

// Unaccepted returns an error for every kind of packet that was not accepted.
func TestUnaccepted(t *testing.T) {
	for want, o := range map[string]Outcome{
		"17 of 20 packets were not accepted: 3 refused, 4 given up, 10 left": {Generated: 20, Accepted: 3, Refused: 3, GaveUp: 4, Left: 10},
		"1 of 5 packets were not accepted: 1 refused, 0 given up, 0 left":    {Generated: 5, Accepted: 4, Refused: 1},
		"1 of 5 packets were not accepted: 0 refused, 1 given up, 0 left":    {Generated: 5, Accepted: 4, GaveUp: 1},
		"1 of 5 packets were not accepted: 0 refused, 0 given up, 1 left":    {Generated: 5, Accepted: 4, Left: 1},
	} {
		if err := (Report{Packets: o}).Unaccepted(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	for _, o := range []Outcome{{}, {Generated: 20, Accepted: 20}} {
		if err := (Report{Packets: o}).Unaccepted(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -123: "-123", -1234: "-1,234", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %q, want %q", n, got, want)
		}
	}
}

// progressFor returns the output printed during length, while a packet is
// accepted in each millisecond of the first two seconds.
func progressFor(t *testing.T, length time.Duration, terminal bool) (printed string) {
	synctest.Test(t, func(t *testing.T) {
		run := newCounters("run")
		run.start()
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		go func() {
			p := &outgoing{body: []byte("{}"), messages: 5}
			time.Sleep(time.Microsecond) // never at the tick of progress
			for range 2000 {
				run.produced(p)
				run.accepted(p, 3*time.Millisecond)
				time.Sleep(time.Millisecond)
			}
		}()
		var out bytes.Buffer
		progress(ctx, run, &out, terminal)
		printed = out.String()
		if r := run.snapshot(); r.Latency.Count != 2000 {
			t.Errorf("%d latencies were kept", r.Latency.Count)
		}
	})
	return printed
}

func TestProgressOnATerminal(t *testing.T) {
	lines := strings.Split(progressFor(t, 3500*time.Millisecond, true), "\r")
	if len(lines) != 4 || strings.Contains(lines[3], "\n") {
		t.Fatalf("printed %q", lines)
	}
	for i, want := range map[int]string{
		2: "   2s  1,000 packets/s  accepted 2,000  refused 0  retries 0  p50 3ms  p99 3ms\x1b[K",
		3: "   3s  0 packets/s  accepted 2,000  refused 0  retries 0  p50 -  p99 -\x1b[K",
	} {
		if lines[i] != want {
			t.Errorf("printed %q, want %q", lines[i], want)
		}
	}
}

func TestProgressWithoutTerminal(t *testing.T) {
	want := "   5s  400 packets/s  accepted 2,000  refused 0  retries 0  p50 3ms  p99 3ms\n" +
		"  10s  0 packets/s  accepted 2,000  refused 0  retries 0  p50 -  p99 -\n"
	if got := progressFor(t, 11*time.Second, false); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}
