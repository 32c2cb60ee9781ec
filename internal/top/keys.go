package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// keyHelp explains the keys.
var keyHelp = []string{
	"up, down, j, k   select an analyzer; scroll a page",
	"End              continue with the last packets of a tap",
	"s, S             sort by the next column; the other way round",
	"/                filter by id or state; Esc clears the filter",
	"Enter            explain the share of the analyzer",
	"t                tap: show packets of the analyzer as they pass",
	"d                drain the analyzer, or make it ready again",
	"w                change the weight of the analyzer",
	"r                reload file, certificates and tokens",
	"?                this help",
	"q, Ctrl-C        quit",
	"",
	"Changes show first what they would do, and need y.",
}

// press handles a key.
func (m *Model) press(key tea.Key) tea.Cmd {
	if key.Keystroke() == "ctrl+c" {
		m.closePage()
		return tea.Quit
	}
	switch m.mode {
	case modeFilter, modeWeight:
		return m.edit(key)
	case modeConfirm:
		return m.answer(key)
	case modePage:
		return m.turn(key)
	}
	m.note = ""
	switch key.String() {
	case "q":
		return tea.Quit
	case "?":
		m.open("Keys", keyHelp)
	case "s":
		m.sorted = (m.sorted + 1) % len(columns)
	case "S":
		m.descending = !m.descending
	case "/":
		m.mode, m.input = modeFilter, m.filter
	case "esc":
		m.filter = ""
	case "enter":
		return m.explain()
	case "t":
		return m.tap()
	case "d":
		return m.drain()
	case "w":
		m.askWeight()
	case "r":
		return m.reload()
	default:
		m.navigate(key)
	}
	return nil
}

// navigate moves the selection by a key.
func (m *Model) navigate(key tea.Key) {
	switch key.String() {
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-10)
	case "pgdown":
		m.move(10)
	case "home":
		m.move(-len(m.detail.Analyzers.Analyzers))
	case "end":
		m.move(len(m.detail.Analyzers.Analyzers))
	}
}

// move moves the selection by rows.
func (m *Model) move(by int) {
	rows := m.rows()
	if len(rows) == 0 {
		return
	}
	at := slices.IndexFunc(rows, func(r row) bool { return r.ID == m.selected })
	m.selected = rows[min(max(at+by, 0), len(rows)-1)].ID
}

// edit changes the text that is typed.
func (m *Model) edit(key tea.Key) tea.Cmd {
	switch key.String() {
	case "esc":
		m.mode, m.input = modeTable, ""
	case "enter":
		text, filter := m.input, m.mode == modeFilter
		m.mode, m.input = modeTable, ""
		if !filter {
			return m.proposeWeight(text)
		}
		m.filter = text
		m.move(0)
	case "backspace":
		_, size := utf8.DecodeLastRuneInString(m.input)
		m.input = m.input[:len(m.input)-size]
	default:
		if len(m.input) < 64 {
			m.input += key.Text
		}
	}
	return nil
}

// turn handles the keys of a page.
func (m *Model) turn(key tea.Key) tea.Cmd {
	switch key.String() {
	case "q", "esc", "enter":
		m.closePage()
	case "up", "k":
		m.scroll(-1)
	case "down", "j":
		m.scroll(1)
	case "pgup":
		m.scroll(-m.height / 2)
	case "pgdown":
		m.scroll(m.height / 2)
	case "end":
		m.page.following = m.page.stop != nil
	}
	return nil
}

// scroll moves the page by lines. Who scrolls up a tap stays there.
func (m *Model) scroll(by int) {
	p := &m.page
	last := max(0, len(p.lines)-1)
	if p.following {
		p.first, p.following = max(0, len(p.lines)-m.height), false
	}
	p.first = min(max(p.first+by, 0), last)
}

// current returns the selected analyzer.
func (m *Model) current() (row, bool) {
	rows := m.rows()
	at := slices.IndexFunc(rows, func(r row) bool { return r.ID == m.selected })
	if at < 0 {
		m.note = "No analyzer is selected."
		return row{}, false
	}
	return rows[at], true
}

// whyImpossible returns why an action is not possible now; empty if it is.
func (m *Model) whyImpossible(action string) string {
	switch {
	case !m.connected:
		return "Disconnected: " + action + " has to wait for the connection."
	case m.session.Role != "operate":
		return fmt.Sprintf("The role of %s is %s: %s needs the role operate.", strconv.Quote(m.session.Name), cmp.Or(m.session.Role, "unknown"), action)
	}
	return ""
}
