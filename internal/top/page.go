package top

import (
	"context"
	"fmt"
	"net/url"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
	"github.com/logstreamer/logstreamer/internal/ctl"
)

// maxTapped bounds the lines of a tap.
const maxTapped = 500

// page is text that is shown instead of the table.
type page struct {
	title string
	lines []string
	first int // line at the top
	// following is whether the last lines are shown, instead of those from first.
	following bool
	// stop ends the tap that fills the page.
	stop context.CancelFunc
}

// Messages.
type (
	// pageMsg is the text of a page.
	pageMsg struct {
		title string
		lines []string
	}
	// tappedMsg is a line of a tap.
	tappedMsg struct{ title, line string }
)

func (m *Model) open(title string, lines []string) {
	m.mode, m.page = modePage, page{title: title, lines: lines}
}

func (m *Model) closePage() {
	if m.page.stop != nil {
		m.page.stop()
	}
	m.mode, m.page = modeTable, page{}
}

// fill fills the page if it is still open.
func (m *Model) fill(msg pageMsg) {
	if m.mode == modePage && m.page.title == msg.title {
		m.page.lines = msg.lines
	}
}

// explain shows why the selected analyzer has its share.
func (m *Model) explain() tea.Cmd {
	r, ok := m.current()
	if !ok {
		return nil
	}
	title := "Why " + r.ID + " has its share"
	m.open(title, []string{"…"})
	lines := []string{
		fmt.Sprintf("weight %g, state %s, breaker %s, health %s", r.Spec.Weight, r.Spec.State, r.Status.Breaker, r.Status.Health),
		fmt.Sprintf("share %s of %s by weight; %s messages off, at most %.1f expected", percent(r.Status.Share), percent(r.Status.TargetShare), signed(r.OffBy()), m.detail.Analyzers.BoundMessages),
		fmt.Sprintf("queue %d of %d packets, %d in flight; pace %.0f messages/s, p99 %s", r.Status.Queue.Packets, r.Status.QueueLimit, r.Status.InFlight.Packets, r.Status.Pace, latency(r.Status.P99)),
	}
	if r.Status.Outage != "" {
		lines = append(lines, "breaker opened by: "+r.Status.Outage)
	}
	if !r.Status.Until.IsZero() {
		lines = append(lines, "out until "+r.Status.Until.UTC().Format(time.RFC3339))
	}
	return m.command(func(ctx context.Context) tea.Msg {
		var e adminapi.ShareExplanation
		sentence := ""
		if err := m.client.Get(ctx, adminclient.Path("explain"), url.Values{"analyzer": {r.ID}}, &e); err != nil {
			sentence = err.Error()
		} else {
			sentence = e.Sentence
		}
		return pageMsg{title, append([]string{sentence, ""}, lines...)}
	})
}

// tap shows packets of the selected analyzer as they pass.
func (m *Model) tap() tea.Cmd {
	r, ok := m.current()
	if !ok {
		return nil
	}
	title := "Tap of " + r.ID
	m.open(title, nil)
	ctx, stop := context.WithCancel(context.Background())
	m.page.stop, m.page.following = stop, true
	return m.command(func(program context.Context) tea.Msg {
		defer context.AfterFunc(program, stop)()
		t := tapper{title, m.send}
		err := m.client.Follow(ctx, adminclient.Stream{Path: adminclient.Path("tap"), Query: url.Values{"analyzer": {r.ID}}}, t)
		if ctx.Err() != nil {
			return nil
		}
		return tappedMsg{title, err.Error()}
	})
}

// tapper sends what a tap sees to the page.
type tapper struct {
	title string
	send  func(tea.Msg)
}

// Connected implements adminclient.Follower.
func (t tapper) Connected() {}

// Receive implements adminclient.Follower.
func (t tapper) Receive(e adminclient.Event) error {
	if e.Type == "end" {
		return fmt.Errorf("the tap has ended: %s", e.Data)
	}
	line, err := ctl.DescribeTapped(e)
	if err == nil {
		t.send(tappedMsg{t.title, line})
	}
	return err
}

// Disconnected implements adminclient.Follower. A tap is not opened again automatically.
func (t tapper) Disconnected(err error, _ time.Duration) error { return err }

// tapped adds a line to the page of its tap.
func (m *Model) tapped(msg tappedMsg) {
	if m.mode != modePage || m.page.title != msg.title {
		return
	}
	p := &m.page
	p.lines = append(p.lines, msg.line)
	if surplus := len(p.lines) - maxTapped; surplus > 0 {
		p.lines, p.first = p.lines[surplus:], max(0, p.first-surplus)
	}
}
