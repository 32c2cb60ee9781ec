package top

import (
	"cmp"
	"fmt"
	"slices"
)

// tableLines returns the table of analyzers with the selected one in sight.
func (m *Model) tableLines(rows []row, room int) []string {
	shown := m.visible()
	lines := []string{m.tableHeader(shown)}
	if len(rows) == 0 {
		return append(lines, span(plainStyle, "  no analyzer matches "+m.filter))
	}
	if room--; len(rows) > room && room > 1 {
		room-- // for the number of the others
	}
	room = max(1, room)
	at := max(0, slices.IndexFunc(rows, func(r row) bool { return r.ID == m.selected }))
	first := max(0, min(at-room/2, len(rows)-room))
	for _, r := range rows[first:min(len(rows), first+room)] {
		lines = append(lines, m.tableRow(r, shown))
	}
	if hidden := len(rows) - room; hidden > 0 {
		lines = append(lines, span(dim, fmt.Sprintf("  … %d more", hidden)))
	}
	return lines
}

// visible returns the columns for which the screen is wide enough.
func (m *Model) visible() []column {
	order := slices.Clone(columns)
	slices.SortStableFunc(order, func(a, b column) int { return cmp.Compare(a.keep, b.keep) })
	width, kept := 2, make(map[string]bool)
	for _, c := range order {
		wanted := c.width + 1
		if c.keep > essential {
			wanted += stateWidth * 2 / 3 // a longer state matters more
		}
		if width+wanted <= m.width || len(kept) < 2 {
			kept[c.name], width = true, width+c.width+1
		}
	}
	shown, used := slices.DeleteFunc(slices.Clone(columns), func(c column) bool { return !kept[c.name] }), 2
	for _, c := range shown {
		used += c.width + 1
	}
	shown[len(shown)-1].width += max(0, m.width-used)
	return shown
}

func (m *Model) tableHeader(shown []column) string {
	line := "  "
	for _, c := range shown {
		name := c.name
		if c.name == columns[m.sorted].name {
			if name += "↑"; m.descending {
				name = c.name + "↓"
			}
		}
		line += pad(name, c.width, c.right) + " "
	}
	return span(bold, line)
}

func (m *Model) tableRow(r row, shown []column) string {
	mark, state := "  ", styleOf(r.Analyzer)
	base := plainStyle
	if r.ID == m.selected {
		mark, base = "> ", reverse
	}
	line := m.present(base, mark)
	for _, c := range shown {
		s := base
		if c.name == "STATE" && base == plainStyle {
			s = state
		}
		line += m.present(s, pad(c.text(r), c.width, c.right)+" ")
	}
	return line
}
