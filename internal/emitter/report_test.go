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
		"latency 120µs 0s 12.3ms 0s 3s",
		"retries 1 0 0 0 12 0",
		"1,048,576 bytes accepted; 3 packets refused with 400; 1 packets refused with 413",
	} {
		if !strings.Contains(squeezed, want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
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

// progressFor returns what is printed while one packet a millisecond is
// accepted for that long.
func progressFor(t *testing.T, length time.Duration, terminal bool) (printed string) {
	synctest.Test(t, func(t *testing.T) {
		books := newTally("run")
		books.start()
		ctx, cancel := context.WithTimeout(t.Context(), length)
		defer cancel()
		go func() {
			p := &outgoing{body: []byte("{}"), messages: 5}
			for sleep(ctx, time.Millisecond) {
				books.produced(p)
				books.accepted(p, 3*time.Millisecond)
			}
		}()
		var out bytes.Buffer
		progress(ctx, books, &out, terminal)
		printed = out.String()
		if r := books.snapshot(); r.Latency.Count != r.Packets.Accepted {
			t.Errorf("%d latencies of %d packets were kept", r.Latency.Count, r.Packets.Accepted)
		}
	})
	return printed
}

func TestProgressOnATerminal(t *testing.T) {
	lines := strings.Split(progressFor(t, 3500*time.Millisecond, true), "\r")
	if len(lines) != 4 || strings.Contains(lines[3], "\n") {
		t.Fatalf("printed %q", lines)
	}
	for _, want := range []string{"3s", "1,00", "p50 3ms", "p99 3ms"} {
		if !strings.Contains(lines[3], want) {
			t.Errorf("%q lacks %q", lines[3], want)
		}
	}
}

func TestProgressElsewhere(t *testing.T) {
	lines := strings.SplitAfter(progressFor(t, 11*time.Second, false), "\n")
	if len(lines) != 3 || strings.ContainsAny(lines[0], "\r\x1b") || !strings.Contains(lines[1], "packets/s  accepted ") {
		t.Errorf("printed %q", lines)
	}
}
