package faults

import (
	"bufio"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// gauges is a scrape of the distributor's /metrics, by series.
type gauges struct {
	at    time.Time
	value map[string]float64
}

// gauges reads /metrics.
func (d *distributor) gauges() (gauges, error) {
	g := gauges{at: time.Now(), value: make(map[string]float64)}
	response, err := d.client.Get("http://127.0.0.1:" + strconv.Itoa(d.metricsPort) + "/metrics")
	if err != nil {
		return g, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return g, fmt.Errorf("/metrics is answered with %s", response.Status)
	}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		series, number, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(series, "#") {
			continue
		}
		if value, err := strconv.ParseFloat(number, 64); err == nil {
			g.value[series] = value
		}
	}
	return g, lines.Err()
}

// of returns a series with the label analyzer and further labels.
func (g gauges) of(name, analyzer, more string) float64 {
	return g.value[fmt.Sprintf("%s{analyzer=%q%s}", name, analyzer, more)]
}

func (g gauges) deliveredMessages(analyzer string) float64 {
	return g.of("distributor_delivered_messages_total", analyzer, "")
}

func (g gauges) deliveredPackets(analyzer string) float64 {
	return g.of("distributor_delivered_packets_total", analyzer, "")
}

// halfOpenTransitions counts the transitions of an analyzer's breaker to half-open.
func (g gauges) halfOpenTransitions(analyzer string) float64 {
	return g.of("distributor_breaker_transitions_total", analyzer, `,to="half_open"`)
}

// probes counts an analyzer's health probes.
func (g gauges) probes(analyzer string) float64 {
	return g.of("distributor_probes_total", analyzer, `,result="ok"`) + g.of("distributor_probes_total", analyzer, `,result="failed"`)
}

// shares returns each analyzer's part of the messages delivered between two
// scrapes.
func shares(analyzers []string, before, after gauges) map[string]float64 {
	parts := make(map[string]float64)
	all := 0.0
	for _, name := range analyzers {
		parts[name] = after.deliveredMessages(name) - before.deliveredMessages(name)
		all += parts[name]
	}
	for name := range parts {
		parts[name] /= max(all, 1)
	}
	return parts
}

// analyzers returns all names.
func (g gauges) analyzers() (names []string) {
	for series := range g.value {
		if labels, ok := strings.CutPrefix(series, `distributor_analyzer_healthy{analyzer="`); ok {
			names = append(names, strings.TrimSuffix(labels, `"}`))
		}
	}
	return names
}

// offShare describes the analyzers beyond the maximum deviation from their share.
func (g gauges) offShare() (all []string) {
	limit := g.value["distributor_share_deviation_limit_messages"]
	for _, name := range g.analyzers() {
		if off := g.of("distributor_share_deviation_messages", name, ""); math.Abs(off) > limit+1e-6 { // 1e-6: rounding
			all = append(all, fmt.Sprintf("%s is %v messages off its share, and the limit is %v", name, off, limit))
		}
	}
	return all
}

// watchShares fails the row when an analyzer is off its share at any scrape.
func (s *system) watchShares() {
	s.repeat(250*time.Millisecond, func(time.Time) {
		if g, err := s.distributor.gauges(); err == nil { // it may be killed or stopped
			for _, violation := range g.offShare() {
				s.t.Error(violation)
			}
		}
	})
}
