//go:build linux

package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// The chart's sizes in pixels.
const (
	pictureWidth = 840
	labelWidth   = 300
	barsWidth    = 340
	barHeight    = 16
	barStep      = 22
	titleStep    = 30
	groupGap     = 14
)

// The chart follows the reader's light or dark color scheme.
const chartStyle = `<style>
text{font:13px system-ui,sans-serif;fill:#1f2328}
.title{font-weight:600}
.note{fill:#59636e}
.ours{fill:#1a7f37}
.other{fill:#8c959f}
.spread{stroke:#1f2328;stroke-width:1}
@media (prefers-color-scheme:dark){
text{fill:#f0f6fc}
.note{fill:#9198a1}
.ours{fill:#3fb950}
.other{fill:#656c76}
.spread{stroke:#f0f6fc}
}
</style>
`

// bar is a bar of the chart.
type bar struct {
	label string
	value spread
	ours  bool
}

// writeChart draws a group of bars for each case: medians, and the spread as a
// line.
func writeChart(w io.Writer, r Report) error {
	var body strings.Builder
	y := 0
	for _, c := range r.Cases {
		if bars := c.bars(); len(bars) > 0 {
			y = drawGroup(&body, y, c, bars)
		}
	}
	_, err := fmt.Fprintf(w, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n%s%s</svg>\n",
		pictureWidth, y, pictureWidth, y, chartStyle, body.String())
	return err
}

func (c CaseReport) bars() []bar {
	var bars []bar
	for _, result := range c.Results {
		for _, s := range result.Series {
			if !s.usable() {
				continue
			}
			label := s.Subject
			if result.Step != "" {
				label += ", " + result.Step
			}
			bars = append(bars, bar{label, spreadOf(s.values(c.measure)), strings.HasPrefix(s.Subject, oursName)})
		}
	}
	return bars
}

// drawGroup draws from y down and returns the y of its end.
func drawGroup(body *strings.Builder, y int, c CaseReport, bars []bar) int {
	maxValue := 0.0
	for _, b := range bars {
		maxValue = math.Max(maxValue, b.value.Max)
	}
	unit := c.measure.name
	if c.measure.unit != "/s" {
		unit += ", " + c.measure.unit
	}
	y += titleStep
	fmt.Fprintf(body, "<text class=\"title\" x=\"0\" y=\"%d\">%s <tspan class=\"note\" font-weight=\"400\">(%s)</tspan></text>\n",
		y-10, html.EscapeString(c.Title), html.EscapeString(unit))
	for _, b := range bars {
		drawBar(body, y, b, float64(barsWidth)/maxValue)
		y += barStep
	}
	return y + groupGap
}

func drawBar(body *strings.Builder, y int, b bar, scale float64) {
	class := "other"
	if b.ours {
		class = "ours"
	}
	middle := float64(y) + barHeight/2.0
	fmt.Fprintf(body, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", labelWidth-8, y+barHeight-3, html.EscapeString(b.label))
	fmt.Fprintf(body, "<rect class=%q x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>\n", class, labelWidth, y, b.value.Median*scale, barHeight)
	fmt.Fprintf(body, "<line class=\"spread\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
		labelWidth+b.value.Min*scale, labelWidth+b.value.Max*scale, middle, middle)
	fmt.Fprintf(body, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", labelWidth+b.value.Max*scale+8, y+barHeight-3, b.value)
}
