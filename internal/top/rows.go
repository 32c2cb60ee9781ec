package top

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// row is an analyzer in the table.
type row struct {
	adminapi.Analyzer
	messagesPerSecond float64
}

// column is a column of the table of analyzers.
type column struct {
	name  string
	width int
	right bool
	// keep orders which columns stay on a narrow screen: the smallest first.
	keep int
	text func(row) string
	less func(a, b row) int
}

func by[T cmp.Ordered](value func(row) T) func(a, b row) int {
	return func(a, b row) int { return cmp.Compare(value(a), value(b)) }
}

// stateWidth is the least width of the last column, which gets what is left.
const stateWidth = 12

// essential is the largest keep of columns for which the state may be cut.
const essential = 2

// columns are the columns from left to right.
var columns = []column{
	{"ANALYZER", 16, false, 0, func(r row) string { return r.ID }, by(func(r row) string { return r.ID })},
	{"WEIGHT", 7, true, 4, func(r row) string { return strconv.FormatFloat(r.Spec.Weight, 'g', 4, 64) }, by(func(r row) float64 { return r.Spec.Weight })},
	{"SHARE", 7, true, 1, func(r row) string { return percent(r.Status.Share) }, by(func(r row) float64 { return r.Status.Share })},
	{"TARGET", 7, true, 7, func(r row) string { return percent(r.Status.TargetShare) }, by(func(r row) float64 { return r.Status.TargetShare })},
	{"OFF BY", 7, true, 5, func(r row) string { return signed(r.OffBy()) }, by(func(r row) float64 { return r.OffBy() })},
	{"MSG/S", 7, true, 3, func(r row) string { return whole(r.messagesPerSecond) }, by(func(r row) float64 { return r.messagesPerSecond })},
	{"QUEUE", 6, true, 2, func(r row) string { return strconv.FormatInt(r.Status.Queue.Packets, 10) }, by(func(r row) int64 { return r.Status.Queue.Packets })},
	{"FLIGHT", 7, true, 9, func(r row) string { return strconv.FormatInt(r.Status.InFlight.Packets, 10) }, by(func(r row) int64 { return r.Status.InFlight.Packets })},
	{"P99", 8, true, 8, func(r row) string { return latency(r.Status.P99) }, by(func(r row) adminapi.Duration { return r.Status.P99 })},
	{"STATE", stateWidth, false, 0, func(r row) string { return stateOf(r.Analyzer) }, by(func(r row) string { return stateOf(r.Analyzer) })},
}

// outs are why an analyzer gets no packets, as the console says it.
var outs = map[string]string{"breaker_open": "breaker open", "asked_pause": "pausing", "avoided": "avoided", "probing": "first probe"}

// stateOf returns in words whether an analyzer gets packets, and why not: those of the console.
func stateOf(a adminapi.Analyzer) string {
	switch {
	case a.Spec.State == "maint":
		return "maintenance"
	case a.Drain != nil && a.Drain.Running:
		return fmt.Sprintf("draining, %d left", a.Drain.LeftVolume().Packets)
	case a.Spec.State == "drain":
		return "drained"
	case a.Status.Out == "breaker_open", a.Status.Out == "asked_pause", a.Status.Health == "down":
		return "out: " + outageOf(a)
	case a.Status.Out == "no_room" && a.Status.Health == "healthy":
		return "full"
	}
	words := a.Status.Health
	if reason := outs[a.Status.Out]; reason != "" {
		words += ", " + reason
	}
	if a.Status.Ramp > 0 && a.Status.Ramp < 1 {
		words += ": " + percent(a.Status.Ramp)
	}
	return words
}

// outageOf returns why an analyzer gets no packets, and until when.
func outageOf(a adminapi.Analyzer) string {
	words := cmp.Or(outs[a.Status.Out], "no answer")
	if cause := sink.Cause(a.Status.Outage); cause != "" && a.Status.Out == "breaker_open" {
		words += " (" + cause + ")"
	}
	switch until := a.Status.Until.UTC().Format(time.TimeOnly); {
	case a.Status.Until.IsZero():
		return words
	case a.Status.Out == "breaker_open":
		return words + ", next try at " + until
	default:
		return words + ", until " + until
	}
}

// styleOf returns the style of an analyzer's state.
func styleOf(a adminapi.Analyzer) style {
	switch {
	case a.Spec.State != "ready":
		return warn
	case !a.Status.Healthy:
		return bad
	case a.Status.Out != "" || a.Status.Ramp < 1:
		return warn
	default:
		return good
	}
}

// rows returns the analyzers that the filter selects, in order.
func (m *Model) rows() []row {
	var rows []row
	for _, a := range m.detail.Analyzers.Analyzers {
		if m.filter == "" || strings.Contains(strings.ToLower(a.ID+" "+stateOf(a)), strings.ToLower(m.filter)) {
			rows = append(rows, m.merge(a))
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		order := columns[m.sorted].less(a, b)
		if m.descending {
			order = -order
		}
		return cmp.Or(order, strings.Compare(a.ID, b.ID))
	})
	return rows
}

// merge puts the numbers of the last snapshot into an analyzer.
func (m *Model) merge(a adminapi.Analyzer) row {
	r := row{Analyzer: a}
	values := m.snapshot.Analyzers[a.ID]
	for name, to := range map[string]*float64{
		"routed_messages_per_s": &r.messagesPerSecond, "share": &r.Status.Share, "deviation_messages": &r.Status.DeviationMessages,
	} {
		if v := values[name]; v != nil {
			*to = *v
		}
	}
	for name, to := range map[string]*int64{"queued_packets": &r.Status.Queue.Packets, "in_flight_packets": &r.Status.InFlight.Packets} {
		if v := values[name]; v != nil {
			*to = int64(*v)
		}
	}
	return r
}

func percent(ratio float64) string { return strconv.FormatFloat(100*ratio, 'f', 1, 64) + "%" }

// signed is whole with the sign of what is above 0.
func signed(v float64) string {
	if math.Round(v) > 0 {
		return "+" + whole(v)
	}
	return whole(v)
}

func whole(v float64) string { return strconv.FormatFloat(math.Round(v)+0, 'f', 0, 64) } // not -0

// short returns a duration without digits that mean nothing.
func short(d adminapi.Duration) string {
	unit := 100 * time.Millisecond
	if time.Duration(d) < time.Second {
		unit = time.Millisecond
	}
	return time.Duration(d).Round(unit).String()
}

func latency(d adminapi.Duration) string {
	if d == 0 {
		return "-"
	}
	return time.Duration(d).Round(100 * time.Microsecond).String()
}
