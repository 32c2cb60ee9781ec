package top

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// sparkLength is how many seconds the sparklines show at most.
const sparkLength = 120

// detailEvery is how many snapshots there are for each reading of the detail.
const detailEvery = 2

// Model is the state of the view. It changes only in Update.
type Model struct {
	client *adminclient.Client
	// command makes a command of a function that gets the context of the program.
	command func(func(context.Context) tea.Msg) tea.Cmd
	send    func(tea.Msg) // of messages that no command returns

	width, height int
	now           time.Time

	connected bool
	lastSeen  time.Time // zero: never
	lost      error     // why it is not connected
	retryAt   time.Time
	restarted bool // since the last detail
	boot      string

	session  adminapi.Session
	snapshot adminapi.Snapshot
	detail   Detail
	reading  bool // of the detail
	known    bool // whether there is a detail
	in, out  []float64

	sorted     int // of columns
	descending bool
	filter     string
	selected   string // id

	mode   mode
	input  string // while modeFilter or modeWeight
	change proposal
	page   page
	note   string // of the last action
}

// mode is what keys are for.
type mode int

const (
	modeTable mode = iota
	modeFilter
	modeWeight
	modeConfirm
	modePage
)

// Messages.
type (
	// clockMsg is the time, once a second.
	clockMsg time.Time
	// detailMsg is a detail that was read.
	detailMsg struct {
		detail Detail
		err    error
	}
	// introMsg is what is read once after each connection.
	introMsg struct {
		session adminapi.Session
		history adminapi.History
		err     error
	}
)

func newModel(client *adminclient.Client, now time.Time, command func(func(context.Context) tea.Msg) tea.Cmd, send func(tea.Msg)) *Model {
	return &Model{client: client, command: command, send: send, now: now, width: 80, height: 24}
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case clockMsg:
		m.now = time.Time(msg)
	case tea.KeyPressMsg:
		return m, m.press(msg.Key())
	case connectedMsg:
		m.connected, m.lost, m.lastSeen = true, nil, m.now
		return m, m.readIntro()
	case disconnectedMsg:
		m.connected, m.lost, m.retryAt = false, msg.err, m.now.Add(msg.retry)
		m.abandon()
	case resetMsg:
		m.forget(msg.boot)
		return m, m.readIntro()
	case snapshotMsg:
		return m, m.observe(msg.Snapshot)
	case introMsg:
		m.introduce(msg)
	case detailMsg:
		m.describe(msg)
	case previewMsg:
		m.preview(msg)
	case appliedMsg:
		return m, m.applied(msg)
	case pageMsg:
		m.fill(msg)
	case tappedMsg:
		m.tapped(msg)
	}
	return m, nil
}

// observe takes a snapshot.
func (m *Model) observe(s adminapi.Snapshot) tea.Cmd {
	if m.boot != "" && s.Boot != "" && s.Boot != m.boot {
		m.forget(s.Boot)
	}
	m.snapshot, m.lastSeen = s, m.now
	m.in = append(m.in, valueOf(s.Values, "accepted_messages_per_s"))
	m.out = append(m.out, valueOf(s.Values, "delivered_messages_per_s"))
	m.in, m.out = m.in[max(0, len(m.in)-sparkLength):], m.out[max(0, len(m.out)-sparkLength):]
	if m.reading || m.known && s.Seq%detailEvery != 0 {
		return nil
	}
	m.reading = true
	return m.readDetail()
}

// forget drops the state of a process that has ended.
func (m *Model) forget(boot string) {
	m.restarted = m.boot != "" && boot != m.boot
	m.boot, m.known = boot, false
	m.in, m.out, m.detail.LastEvent = nil, nil, 0
	if m.restarted {
		m.detail.Events = nil
	}
	m.abandon()
}

// abandon ends what can no longer be confirmed.
func (m *Model) abandon() {
	if m.mode == modeConfirm || m.mode == modeWeight {
		m.mode, m.note = modeTable, "Nothing was changed: "+m.change.title+" was not confirmed before the connection ended."
	}
}

func (m *Model) readIntro() tea.Cmd {
	return m.command(func(ctx context.Context) tea.Msg {
		var intro introMsg
		if intro.err = m.client.Get(ctx, adminclient.Path("session"), nil, &intro.session); intro.err == nil {
			intro.err = m.client.Get(ctx, adminclient.Path("history"), nil, &intro.history)
		}
		return intro
	})
}

func (m *Model) introduce(msg introMsg) {
	if msg.err != nil {
		m.note = msg.err.Error()
		return
	}
	m.session = msg.session
	if m.boot != "" && msg.history.Boot != m.boot {
		m.forget(msg.history.Boot)
	}
	m.boot = msg.history.Boot
	m.in = recent(msg.history.Columns["accepted_messages_per_s"])
	m.out = recent(msg.history.Columns["delivered_messages_per_s"])
}

// recent returns the last values of a column; unknown ones are 0.
func recent(column []*float64) []float64 {
	var values []float64
	for _, v := range column[max(0, len(column)-sparkLength):] {
		if v == nil {
			values = append(values, 0)
			continue
		}
		values = append(values, *v)
	}
	return values
}

func valueOf(values map[string]*float64, name string) float64 {
	if v := values[name]; v != nil {
		return *v
	}
	return 0
}

func (m *Model) readDetail() tea.Cmd {
	last := m.detail.LastEvent
	return m.command(func(ctx context.Context) tea.Msg {
		detail, err := readDetail(ctx, m.client, last)
		return detailMsg{detail, err}
	})
}

func (m *Model) describe(msg detailMsg) {
	m.reading = false
	if msg.err != nil {
		m.note = msg.err.Error()
		return
	}
	events := append(m.detail.Events, msg.detail.Events...)
	m.detail, m.known = msg.detail, true
	m.detail.Events = events[max(0, len(events)-maxEvents):]
	if m.boot == "" {
		m.boot = m.detail.Status.Boot
	}
	rows := m.rows()
	if !slices.ContainsFunc(rows, func(r row) bool { return r.ID == m.selected }) && len(rows) > 0 {
		m.selected = rows[0].ID
	}
}
