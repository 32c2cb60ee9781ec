package ctl

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/logstreamer/logstreamer/internal/printable"
)

// printer writes responses to a terminal, a file or a program. Nothing of them gets out as a
// control character. It keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) write(text []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(text)
	}
}

// line writes a line.
func (p *printer) line(format string, args ...any) {
	p.write([]byte(printable.String(fmt.Sprintf(format, args...)) + "\n"))
}

// text writes lines.
func (p *printer) text(body []byte) {
	for line := range strings.Lines(string(body)) {
		p.line("%s", strings.TrimRight(line, "\r\n"))
	}
}

// json writes a JSON text, indented.
func (p *printer) json(body []byte) {
	var indented bytes.Buffer
	if json.Indent(&indented, bytes.TrimSpace(body), "", "  ") != nil {
		p.text(body)
		return
	}
	p.write(append(printable.JSON(indented.Bytes()), '\n'))
}

// jsonLine writes a JSON text in one line.
func (p *printer) jsonLine(body []byte) {
	var compact bytes.Buffer
	if json.Compact(&compact, body) != nil {
		p.text(body)
		return
	}
	p.write(append(printable.JSON(compact.Bytes()), '\n'))
}

// table is rows under a header. Columns whose header begins with > are aligned to the right.
type table struct {
	header []string
	rows   [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// table writes a table.
func (p *printer) table(t table) {
	header := make([]string, len(t.header))
	widths := make([]int, len(t.header))
	for i, name := range t.header {
		header[i] = strings.TrimPrefix(name, ">")
		widths[i] = len(header[i])
	}
	rows := make([][]string, len(t.rows))
	for r, row := range t.rows {
		for i, cell := range row {
			cell = printable.String(cell)
			rows[r] = append(rows[r], cell)
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	for _, row := range append([][]string{header}, rows...) {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-ansi.StringWidth(cell))
			if strings.HasPrefix(t.header[i], ">") {
				cell = gap + cell
			} else {
				cell += gap
			}
			line.WriteString(cell + "  ")
		}
		p.write([]byte(strings.TrimRight(line.String(), " ") + "\n"))
	}
}

func percent(ratio float64) string { return fmt.Sprintf("%.1f %%", 100*ratio) }

// number writes a number without a fraction that means nothing.
func number(v float64) string { return fmt.Sprintf("%.0f", math.Round(v)+0) } // not -0

// signed is number with the sign of what is above 0.
func signed(v float64) string {
	if math.Round(v) > 0 {
		return "+" + number(v)
	}
	return number(v)
}

// known is number for what is 0 when it is not known.
func known(v float64) string {
	if v == 0 {
		return "-"
	}
	return number(v)
}

// value writes a JSON value; a text without its quotes.
func value(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	if v == nil {
		return "-"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func dash(text string) string { return cmp.Or(text, "-") }
