package top

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/logstreamer/logstreamer/internal/ctl"
)

// View implements tea.Model.
func (m *Model) View() tea.View {
	view := tea.NewView(strings.Join(m.lines(), "\n"))
	view.AltScreen = true
	return view
}

// lines returns the lines of the screen, each as wide as the screen.
func (m *Model) lines() []string {
	lines := m.banner()
	foot := m.foot()
	room := max(0, m.height-len(lines)-len(foot))
	switch {
	case m.mode == modePage:
		lines = append(lines, m.pageLines(room)...)
	case m.mode == modeConfirm:
		lines = append(lines, head(m.proposalLines(), room)...)
	default:
		lines = append(lines, m.body(room)...)
	}
	for len(lines) < m.height-len(foot) {
		lines = append(lines, "")
	}
	lines = append(head(lines, max(0, m.height-len(foot))), foot...)
	for i, line := range lines {
		lines[i] = fit(line, m.width)
	}
	return lines
}

func head(lines []string, n int) []string { return lines[:min(len(lines), n)] }

// banner returns what matters most: the state, and whether it is the present one.
func (m *Model) banner() []string {
	s := m.detail.Status
	if !m.connected {
		return []string{span(bad, m.disconnection()), m.numbers()}
	}
	if !m.known {
		return []string{span(warn, "CONNECTED to "+m.client.Name()+", no data yet"), m.numbers()}
	}
	state, reason := s.State, s.Reason
	if live := m.snapshot.Texts["state"]; live != "" {
		state, reason = live, m.snapshot.Texts["reason"]
	}
	words := strings.ToUpper(state)
	for _, more := range []struct {
		applies bool
		text    string
	}{
		{reason != "", reason}, {!s.Ready, "NOT READY"}, {s.Intake == "paused", "INTAKE PAUSED"}, {s.Dispatch == "paused", "DISPATCH PAUSED"},
		{s.LastReload != nil && !s.LastReload.Successful, "LAST RELOAD FAILED"},
		{m.restarted, "RESTARTED"},
		{true, fmt.Sprintf("unaccounted %d", s.Ledger.UnaccountedMessages)}, {s.Overrides > 0, fmt.Sprintf("%d overrides", s.Overrides)},
		{true, fmt.Sprintf("revision %d", s.Revision)}, {true, "up " + time.Duration(s.Uptime).Round(time.Second).String()},
	} {
		if more.applies {
			words += " · " + more.text
		}
	}
	style := good
	switch {
	case s.Ledger.UnaccountedMessages != 0 || !s.Ready || state == "panic":
		style = bad
	case state != "normal":
		style = warn
	}
	lines := []string{span(style, words), m.numbers()}
	if line := m.detail.cluster(); line != "" {
		lines = append(lines, m.present(plainStyle, line))
	}
	return lines
}

func (m *Model) disconnection() string {
	words := "DISCONNECTED from " + m.client.Name()
	if !m.lastSeen.IsZero() {
		words += ", last seen " + m.now.Sub(m.lastSeen).Round(time.Second).String() + " ago"
	}
	if m.lost == nil {
		return words + ": connecting"
	}
	return words + fmt.Sprintf(", trying again in %v: %v", max(0, m.retryAt.Sub(m.now)).Round(time.Second), m.lost)
}

// numbers returns the four numbers of the console, in its order, with sparklines of the last minutes.
func (m *Model) numbers() string {
	values := m.snapshot.Values
	refused := 0.0
	for _, v := range m.refusals() {
		refused += v.rate
	}
	spark := min(max(0, (m.width-88)/2), sparkLength)
	in, out := valueOf(values, "accepted_messages_per_s"), valueOf(values, "delivered_messages_per_s")
	line := fmt.Sprintf("in %.0f msg/s %sout %.0f msg/s %s", in, sparkline(m.in, spark)+"  ", out, sparkline(m.out, spark)+"  ")
	if m.known {
		line += "oldest packet waits " + short(m.detail.Backlog.OldestAge) + "  "
	}
	line += fmt.Sprintf("refused %.0f packets/s", refused)
	return m.present(plainStyle, line)
}

// present is span, dimmed while what is shown is not the present.
func (m *Model) present(s style, text string) string {
	if !m.connected {
		s = dim
	}
	return span(s, text)
}

// body returns the table of analyzers, and as there is room the backlog, the refusals and
// the events.
func (m *Model) body(room int) []string {
	if !m.known {
		return head([]string{"", "No data yet."}, room)
	}
	backlog, events := m.backlogLines(), m.eventLines()
	rows := m.rows()
	least := min(len(rows), 5) + 1
	spare := max(0, room-least)
	backlog = head(backlog, spare/2)
	events = head(events, max(0, spare-len(backlog)-min(max(0, len(rows)+1-least), spare/2)))
	lines := m.tableLines(rows, room-len(backlog)-len(events))
	return append(append(lines, backlog...), events...)
}

// placeWords are where packets wait, in the order of their way.
var placeWords = [][2]string{{"journal", "in the journal"}, {"router", "at the router"}, {"queue", "in queues"}, {"in_flight", "sent"}}

// backlogLines returns what is not yet delivered, and what is refused.
func (m *Model) backlogLines() []string {
	b := m.detail.Backlog
	estimate := "unknown"
	if b.DrainEstimate != nil {
		estimate = short(*b.DrainEstimate)
	}
	places := []string{}
	for _, place := range placeWords {
		packets := int64(0)
		for _, p := range b.ByPlace {
			if p.Place == place[0] {
				packets += p.Packets
			}
		}
		if packets > 0 {
			places = append(places, fmt.Sprintf("%d %s", packets, place[1]))
		}
	}
	text := fmt.Sprintf(" %d packets (%d messages)", b.Total.Packets, b.Total.Messages)
	if b.Total.Packets > 0 {
		text += ", time to deliver " + estimate + ": " + strings.Join(places, ", ")
	}
	lines := []string{span(bold, "BACKLOG") + m.present(plainStyle, text)}
	for _, e := range b.ByEmitter[:min(len(b.ByEmitter), maxRefused)] {
		lines = append(lines, m.present(plainStyle, fmt.Sprintf("  %d messages of %s", e.Messages, e.Emitter)))
	}
	refusals := []string{}
	for _, r := range m.refusals() {
		refusals = append(refusals, fmt.Sprintf("%s %.0f packets/s", words(r.reason), r.rate))
	}
	if len(refusals) == 0 {
		refusals = append(refusals, "none")
	}
	lines = append(lines, span(bold, "REFUSED")+m.present(plainStyle, fmt.Sprintf(" %s; dead letters: %d packets", strings.Join(refusals, ", "), m.detail.Status.Ledger.DeadLettered.Packets)))
	for _, text := range m.detail.refused() {
		lines = append(lines, m.present(plainStyle, "  "+text))
	}
	return lines
}

// refusal is a reason of refusals and their rate in packets a second.
type refusal struct {
	reason string
	rate   float64
}

// refusals returns the rates of refusals that are not 0, by reason.
func (m *Model) refusals() []refusal {
	var list []refusal
	for _, name := range slices.Sorted(maps.Keys(m.snapshot.Values)) {
		reason, isRefusal := strings.CutPrefix(name, "refused_")
		reason, isRate := strings.CutSuffix(reason, "_per_s")
		if rate := valueOf(m.snapshot.Values, name); isRefusal && isRate && rate > 0 {
			list = append(list, refusal{reason, rate})
		}
	}
	return list
}

// eventLines returns the events, the last one first.
func (m *Model) eventLines() []string {
	if len(m.detail.Events) == 0 {
		return nil
	}
	lines := []string{span(bold, "EVENTS")}
	for _, e := range slices.Backward(m.detail.Events) {
		lines = append(lines, m.present(plainStyle, "  "+e.Time.UTC().Format("15:04:05")+" "+ctl.Describe(e)))
	}
	return lines
}

// proposalLines returns what a change would do.
func (m *Model) proposalLines() []string {
	p := m.change
	lines := []string{"", span(bold, "Change: "+p.title)}
	if p.stale {
		lines = append(lines, span(warn, "The configuration was changed meanwhile. This is the preview for the new revision."))
	}
	if p.result == nil {
		return append(lines, "Asking what it would do…")
	}
	for _, c := range p.result.Changed {
		lines = append(lines, span(plainStyle, fmt.Sprintf("  %s: %v → %v", c.Path, c.Old, c.New)))
	}
	if len(p.result.Changed) == 0 {
		lines = append(lines, "  No setting differs.")
	}
	if len(p.result.Projected) > 0 {
		lines = append(lines, "", span(bold, "  "+pad("ANALYZER", 20, false)+pad("SHARE NOW", 11, true)+pad("THEN", 9, true)+pad("MSG/S", 9, true)+pad("LOAD", 9, true)))
	}
	for _, one := range p.result.Projected {
		load := "-"
		if one.Load > 0 {
			load = percent(one.Load)
		}
		lines = append(lines, span(plainStyle, "  "+pad(one.ID, 20, false)+pad(m.shareNow(one.ID), 11, true)+pad(percent(one.Share), 9, true)+pad(whole(one.MessagesPerSecond), 9, true)+pad(load, 9, true)))
	}
	for _, warning := range p.result.Warnings {
		lines = append(lines, m.wrap(span(warn, "  Warning: "+warning))...)
	}
	return lines
}

// wrap returns a line as lines of the width of the screen.
func (m *Model) wrap(line string) []string {
	return strings.Split(ansi.Wrap(line, max(1, m.width), ""), "\n")
}

func (m *Model) shareNow(id string) string {
	for _, r := range m.detail.Analyzers.Analyzers {
		if r.ID == id {
			return percent(m.merge(r).Status.Share)
		}
	}
	return "-"
}

// pageLines returns the part of the page that fits, its lines wrapped.
func (m *Model) pageLines(room int) []string {
	title := span(bold, m.page.title)
	if len(m.page.lines) == 0 {
		return head([]string{title, "Waiting for packets…"}, room)
	}
	lines, first := m.page.lines, m.page.first
	if m.page.following {
		first = max(0, len(lines)-room)
	}
	var wrapped []string
	for _, line := range lines[first:min(len(lines), first+room)] {
		wrapped = append(wrapped, m.wrap(span(plainStyle, line))...)
	}
	if m.page.following {
		wrapped = wrapped[max(0, len(wrapped)-max(0, room-1)):]
	}
	return head(append([]string{title}, wrapped...), room)
}

// foot returns the last line: a question, a result, or the keys.
func (m *Model) foot() []string {
	switch {
	case m.mode == modeFilter:
		return []string{span(bold, "Filter: "+m.input+"_")}
	case m.mode == modeWeight:
		return []string{span(bold, "Set "+m.change.title+" to: "+m.input+"_")}
	case m.mode == modeConfirm && m.change.result != nil:
		return []string{span(bold, "Change it? y/N")}
	case m.mode == modeConfirm:
		return []string{span(bold, "N gives it up")}
	case m.mode == modePage:
		return []string{span(dim, "q back  up, down scroll")}
	case m.note != "":
		return []string{span(bold, m.note)}
	}
	keys := "? help  / filter  s sort  Enter why  t tap"
	switch {
	case !m.connected:
		keys += "  no changes while disconnected"
	case m.session.Role == "operate":
		keys += "  d drain  w weight  r reload"
	case m.session.Role != "":
		keys += "  role " + m.session.Role + ": no changes"
	}
	if m.filter != "" {
		keys = "filter " + m.filter + " (Esc)  " + keys
	}
	return []string{span(dim, keys+"  q quit")}
}
