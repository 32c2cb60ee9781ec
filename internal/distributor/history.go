package distributor

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/logstreamer/logstreamer/internal/history"
	"github.com/logstreamer/logstreamer/internal/metric"
	"github.com/logstreamer/logstreamer/internal/protocol/native"
)

// History returns the snapshots of the last quarter of an hour.
func (d *Distributor) History() *history.History { return d.history }

// snapshots makes the snapshots of the history: the status, and the rates since the previous
// snapshot. It must not be used concurrently.
type snapshots struct {
	distributor *Distributor
	last        time.Time
	counts      map[string]float64 // counters at the last snapshot, by name
	next        map[string]float64
}

func newSnapshots(d *Distributor) *snapshots {
	return &snapshots{distributor: d, counts: make(map[string]float64), next: make(map[string]float64)}
}

// take returns the snapshot at a time.
func (s *snapshots) take(now time.Time) history.Snapshot {
	status := s.distributor.Status()
	snapshot := history.Snapshot{Time: now, Group: s.whole(status, now)}
	slices.SortStableFunc(status.Analyzers, func(a, b AnalyzerStatus) int {
		return cmp.Or(compareBool(a.Healthy, b.Healthy), cmp.Compare(b.Target, a.Target), cmp.Compare(a.ID, b.ID))
	})
	for _, a := range status.Analyzers[:min(len(status.Analyzers), history.MaxAnalyzers)] {
		snapshot.Analyzers = append(snapshot.Analyzers, history.Analyzer{ID: a.ID, Group: s.analyzer(a, now)})
	}
	s.last = now
	s.counts, s.next = s.next, s.counts
	clear(s.next)
	return snapshot
}

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// whole returns the values of the distributor.
func (s *snapshots) whole(status Status, now time.Time) history.Group {
	d := s.distributor
	condition := d.watcher.current.Load()
	undelivered := status.Waiting.Plus(status.Queued).Plus(status.InFlight)
	group := history.Group{
		Texts: []history.Text{{Name: "state", Value: condition.state.String()}, {Name: "reason", Value: condition.reason}},
		Numbers: []history.Number{
			s.rate("accepted_packets", now, status.Accepted.Packets),
			s.rate("accepted_messages", now, status.Accepted.Messages),
			s.rate("delivered_packets", now, status.Delivered.Packets),
			s.rate("delivered_messages", now, status.Delivered.Messages),
			s.rate("dead_lettered_packets", now, status.DeadLettered.Packets),
			{Name: "undelivered_packets", Value: float64(undelivered.Packets)},
			{Name: "undelivered_messages", Value: float64(undelivered.Messages)},
			{Name: "waiting_packets", Value: float64(status.Waiting.Packets)},
			{Name: "oldest_age_s", Value: age(status.Oldest, now)},
			{Name: "journal_utilization", Value: d.journal.Utilization()},
			{Name: "max_deviation_messages", Value: status.MaxDeviationMessages},
			{Name: "unaccounted_messages", Value: float64(status.Unaccounted)},
			{Name: "healthy_analyzers", Value: float64(d.eligible())},
			{Name: "total_analyzers", Value: float64(len(status.Analyzers))},
		},
	}
	for _, reason := range native.Reasons() {
		group.Numbers = append(group.Numbers, s.rate("refused_"+reason, now, d.intake.Refused(reason)))
	}
	return group
}

// age returns the seconds since a time, or 0 for the zero time.
func age(since, now time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(0, now.Sub(since).Seconds())
}

// analyzer returns the values of an analyzer.
func (s *snapshots) analyzer(a AnalyzerStatus, now time.Time) history.Group {
	routed := s.rate("analyzers/"+a.ID, now, a.Routed.Messages)
	return history.Group{
		Texts: []history.Text{{Name: "health", Value: a.Health}, {Name: "out", Value: a.Out.String()}},
		Numbers: []history.Number{
			{Name: "routed_messages_per_s", Value: routed.Value},
			{Name: "share", Value: a.Effective},
			{Name: "target", Value: a.Target},
			{Name: "deviation_messages", Value: a.DeviationMessages},
			{Name: "queued_packets", Value: float64(a.Queued.Packets)},
			{Name: "in_flight_packets", Value: float64(a.InFlight.Packets)},
			{Name: "pace_messages_per_s", Value: a.Pace},
			{Name: "latency_p99_s", Value: a.LatencyP99.Seconds()},
			{Name: "healthy", Value: metric.Bool(a.Healthy)},
		},
	}
}

// rate returns the increase of a counter per second since the last snapshot, or NaN if the counter
// is new or has decreased.
func (s *snapshots) rate(counter string, now time.Time, count int64) history.Number {
	value := math.NaN()
	before, known := s.counts[counter]
	if seconds := now.Sub(s.last).Seconds(); known && seconds > 0 && float64(count) >= before {
		value = (float64(count) - before) / seconds
	}
	s.next[counter] = float64(count)
	return history.Number{Name: counter + "_per_s", Value: value}
}
