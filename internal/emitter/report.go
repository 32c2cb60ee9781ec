package emitter

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is the result of a run, or of a run so far.
type Report struct {
	// RunID is the prefix of every generated packet id.
	RunID    string
	Elapsed  time.Duration
	Packets  Outcome
	Messages Outcome
	// Lines is zero unless a file was sent.
	Lines Lines
	// Bytes counts the bodies of accepted packets.
	Bytes   int64
	Retries Retries
	// RefusedByStatus counts refused packets by HTTP status.
	RefusedByStatus map[int]int64
	Latency         Latency
}

// Outcome counts packets or messages by result.
type Outcome struct {
	Generated, Accepted, Refused, GaveUp int64
	// Left counts packets or messages that were not completed at the end of the run or, during
	// the run, that are pending.
	Left int64
}

func (o Outcome) completed() int64 { return o.Accepted + o.Refused + o.GaveUp }

// Unaccepted returns an error with the number of packets of an ended run that
// were not accepted, or nil.
func (r Report) Unaccepted() error {
	o := r.Packets
	missing := o.Generated - o.Accepted
	if missing == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d packets were not accepted: %d refused, %d given up, %d left", missing, o.Generated, o.Refused, o.GaveUp, o.Left)
}

// Lines counts the lines of a file by result. After the run, Read is Empty +
// Accepted + Refused + GaveUp + Left.
type Lines struct {
	Read, Empty, Accepted, Refused, GaveUp, Left int64
	// Truncated counts lines over 256 KiB, which were sent truncated.
	Truncated int64
	// Repaired counts lines with invalid UTF-8, which became U+FFFD.
	Repaired int64
}

// Balanced reports whether every line is accounted for.
func (l Lines) Balanced() bool {
	return l.Read == l.Empty+l.Accepted+l.Refused+l.GaveUp+l.Left
}

// Retries counts retries by cause.
type Retries struct {
	// Connect: the connection failed. Reset: the connection broke. Timeout: no
	// response in time, or a 408.
	Connect, Reset, Timeout int64
	// RateLimited: 429. Unavailable: 503. ServerError: any other 5xx.
	RateLimited, Unavailable, ServerError int64
}

// Total returns the sum over all causes.
func (r Retries) Total() int64 {
	return r.Connect + r.Reset + r.Timeout + r.RateLimited + r.Unavailable + r.ServerError
}

// Latency is the time from the due time of accepted packets to their
// acceptance, retries included.
type Latency struct {
	Count                    int64
	P50, P90, P99, P999, Max time.Duration
}

// Write prints the report as text tables.
func (r Report) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, cell := range cells {
			fmt.Fprintf(t, "%v\t", cell) // errors of the writer surface in Flush
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintf(t, "\nrun %s, %s\n\n", r.RunID, r.Elapsed.Round(time.Millisecond))
	row("", "generated", "accepted", "refused", "gave up", "left", "accepted/s")
	for _, o := range []struct {
		name string
		Outcome
	}{{"packets", r.Packets}, {"messages", r.Messages}} {
		row(o.name, grouped(o.Generated), grouped(o.Accepted), grouped(o.Refused), grouped(o.GaveUp), grouped(o.Left),
			grouped(r.perSecond(o.Accepted)))
	}
	if l := r.Lines; l.Read > 0 {
		fmt.Fprintln(t)
		row("", "read", "empty", "accepted", "refused", "gave up", "left")
		row("lines", grouped(l.Read), grouped(l.Empty), grouped(l.Accepted), grouped(l.Refused), grouped(l.GaveUp), grouped(l.Left))
		row("", "truncated", "repaired")
		row("", grouped(l.Truncated), grouped(l.Repaired))
	}
	fmt.Fprintln(t)
	row("", "p50", "p90", "p99", "p99.9", "max")
	l := r.Latency
	row("latency", roundedDuration(l.P50), roundedDuration(l.P90), roundedDuration(l.P99), roundedDuration(l.P999), roundedDuration(l.Max))
	fmt.Fprintln(t)
	row("", "connect", "reset", "timeout", "429", "503", "other 5xx")
	row("retries", r.Retries.Connect, r.Retries.Reset, r.Retries.Timeout, r.Retries.RateLimited, r.Retries.Unavailable, r.Retries.ServerError)
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s bytes accepted%s\n", grouped(r.Bytes), r.refusals())
	return err
}

func (r Report) refusals() string {
	var text strings.Builder
	for _, status := range slices.Sorted(maps.Keys(r.RefusedByStatus)) {
		fmt.Fprintf(&text, "; %s packets refused with %d", grouped(r.RefusedByStatus[status]), status)
	}
	return text.String()
}

func (r Report) perSecond(count int64) int64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return int64(float64(count)/r.Elapsed.Seconds() + 0.5)
}

// grouped writes a number with a comma between thousands.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// roundedDuration formats a duration with about three digits. 0 is that of no packets.
func roundedDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	default:
		return d.Round(10 * time.Microsecond).String()
	}
}
