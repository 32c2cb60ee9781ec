package top

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"

	tea "charm.land/bubbletea/v2"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// proposal is a change that is shown before it is made.
type proposal struct {
	title   string
	request adminclient.Request
	// result is what the change would do; nil until the server has answered.
	result *adminapi.Change
	// stale is whether another change came between.
	stale bool
}

// Messages.
type (
	previewMsg struct {
		change proposal
		err    error
	}
	appliedMsg struct {
		change proposal
		result adminapi.Change
		err    error
	}
)

func (m *Model) drain() tea.Cmd {
	r, ok := m.current()
	if !ok {
		return nil
	}
	title, state := "drain "+r.ID, "drain"
	if r.Spec.State != "ready" {
		title, state = "make "+r.ID+" ready", "ready"
	}
	return m.propose(title, adminclient.Request{
		Method: http.MethodPatch, Path: adminclient.Path("analyzers", r.ID), Body: map[string]any{"state": state, "reason": "top"},
	})
}

func (m *Model) askWeight() {
	r, ok := m.current()
	if !ok {
		return
	}
	if m.note = m.whyImpossible("a new weight"); m.note == "" {
		m.mode, m.input, m.change = modeWeight, "", proposal{title: "a new weight of " + r.ID}
	}
}

func (m *Model) proposeWeight(text string) tea.Cmd {
	weight, err := strconv.ParseFloat(text, 64)
	if err != nil || !(weight > 0) || math.IsInf(weight, 0) {
		m.note = fmt.Sprintf("The weight %q must be a number above 0.", text)
		return nil
	}
	r, ok := m.current()
	if !ok {
		return nil
	}
	return m.propose(fmt.Sprintf("weight of %s from %g to %g", r.ID, r.Spec.Weight, weight), adminclient.Request{
		Method: http.MethodPatch, Path: adminclient.Path("analyzers", r.ID), Body: map[string]any{"weight": weight, "reason": "top"},
	})
}

func (m *Model) reload() tea.Cmd {
	return m.propose("reload", adminclient.Request{Method: http.MethodPost, Path: adminclient.Path("reload"), Body: map[string]any{"reason": "top"}})
}

// propose makes a dry run of a change.
func (m *Model) propose(title string, r adminclient.Request) tea.Cmd {
	if m.note = m.whyImpossible(title); m.note != "" {
		return nil
	}
	m.mode, m.change = modeConfirm, proposal{title: title, request: r}
	return m.dryRun(m.change)
}

func (m *Model) dryRun(p proposal) tea.Cmd {
	return m.command(func(ctx context.Context) tea.Msg {
		r := p.request
		r.Query, r.IfMatch = url.Values{"dry_run": {"true"}}, 0
		p.result = new(adminapi.Change)
		return previewMsg{p, m.call(ctx, r, p.result)}
	})
}

func (m *Model) call(ctx context.Context, r adminclient.Request, into any) error {
	response, err := m.client.Do(ctx, r)
	if err != nil {
		return err
	}
	return response.Decode(into)
}

// preview shows what a change would do, unless it was given up meanwhile.
func (m *Model) preview(msg previewMsg) {
	if m.mode != modeConfirm || m.change.title != msg.change.title {
		return
	}
	if msg.err != nil {
		m.mode, m.note = modeTable, msg.err.Error()
		return
	}
	m.change = msg.change
}

// answer makes the change that was shown if the key is y.
func (m *Model) answer(key tea.Key) tea.Cmd {
	p := m.change
	if key.String() != "y" {
		m.mode, m.note = modeTable, "Nothing was changed."
		return nil
	}
	if p.result == nil {
		return nil // nothing was shown yet
	}
	m.mode, m.note = modeTable, "…"
	p.request.IfMatch = p.result.Revision
	return m.command(func(ctx context.Context) tea.Msg {
		applied := appliedMsg{change: p}
		applied.err = m.call(ctx, p.request, &applied.result)
		return applied
	})
}

// applied reports what became of a change. If there was another one meanwhile it is shown
// again.
func (m *Model) applied(msg appliedMsg) tea.Cmd {
	var refused *adminclient.Error
	if errors.As(msg.err, &refused) && refused.Stale() {
		m.mode, m.note = modeConfirm, ""
		m.change = proposal{title: msg.change.title, request: msg.change.request, stale: true}
		return m.dryRun(m.change)
	}
	if msg.err != nil {
		m.note = msg.err.Error()
		return nil
	}
	m.note = fmt.Sprintf("Done: %s, revision %d.", msg.change.title, msg.result.Revision)
	if msg.result.Operation != "" {
		m.note += " The events will have the proof of drain " + msg.result.Operation + "."
	}
	m.reading = true
	return m.readDetail()
}
