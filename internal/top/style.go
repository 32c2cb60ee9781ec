package top

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/logstreamer/logstreamer/internal/printable"
)

// style is the parameters of a control sequence SGR. Colours only repeat what words say.
type style string

const (
	plainStyle style = ""
	bold       style = "1"
	dim        style = "2"
	reverse    style = "7"
	bad        style = "31;1"
	warn       style = "33;1"
	good       style = "32"
)

// span returns text in a style. What it has of control characters is escaped: spans are the
// only way of text to the screen.
func span(s style, text string) string {
	text = printable.String(text)
	if s == plainStyle || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[m"
}

// fit cuts or fills a line of spans to a width.
func fit(line string, width int) string {
	if w := ansi.StringWidth(line); w <= width {
		return line + strings.Repeat(" ", width-w)
	}
	return ansi.Truncate(line, width, "…")
}

// pad fills escaped text to a width, at the left for numbers.
func pad(text string, width int, right bool) string {
	text = printable.String(text)
	if w := ansi.StringWidth(text); w > width {
		return ansi.Truncate(text, width, "…")
	} else if right {
		return strings.Repeat(" ", width-w) + text
	} else {
		return text + strings.Repeat(" ", width-w)
	}
}

var levels = []rune("▁▂▃▄▅▆▇█")

// sparkline draws values from 0 to the largest one.
func sparkline(values []float64, width int) string {
	values = values[max(0, len(values)-width):]
	largest := 0.0
	for _, v := range values {
		largest = max(largest, v)
	}
	var line strings.Builder
	for _, v := range values {
		level := 0
		if largest > 0 {
			level = int(v / largest * float64(len(levels)-1))
		}
		line.WriteRune(levels[min(max(level, 0), len(levels)-1)])
	}
	return line.String()
}
