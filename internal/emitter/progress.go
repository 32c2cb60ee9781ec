package emitter

import (
	"context"
	"fmt"
	"io"
	"time"
)

// How often progress is printed.
const (
	terminalInterval = time.Second
	plainInterval    = 5 * time.Second
)

// progress prints progress until ctx is done: one line that is rewritten on a
// terminal, else one line per interval.
func progress(ctx context.Context, t *counters, out io.Writer, terminal bool) {
	interval, format := plainInterval, "%s\n"
	if terminal {
		interval, format = terminalInterval, "\r%s\x1b[K"
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	before := t.interval()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := t.interval()
		if _, err := fmt.Fprintf(out, format, progressLine(before, now)); err != nil {
			return // the reader is gone; sending continues
		}
		before = now
	}
}

// progressLine formats the difference of two reports. It fits 80 columns for
// all but very large numbers.
func progressLine(before, now Report) string {
	between := Report{Elapsed: now.Elapsed - before.Elapsed}
	line := fmt.Sprintf("%5s  %s packets/s  accepted %s  refused %s  retries %s  p50 %s  p99 %s",
		now.Elapsed.Round(time.Second),
		grouped(between.perSecond(now.Packets.Accepted-before.Packets.Accepted)),
		grouped(now.Packets.Accepted), grouped(now.Packets.Refused), grouped(now.Retries.Total()),
		roundedDuration(now.Latency.P50), roundedDuration(now.Latency.P99))
	if now.Packets.GaveUp > 0 {
		line += "  gave up " + grouped(now.Packets.GaveUp)
	}
	return line
}
