package top

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
	"github.com/logstreamer/logstreamer/internal/adminclient/admintest"
)

const (
	statusJSON = `{"state":"degraded","reason":"a2 is down","ready":true,"intake":"open","dispatch":"running","version":"dev","boot":"b1","started":"2026-11-29T11:00:00Z","uptime":"1h0m0.5s","revision":1234,"overrides":2,"analyzers":{"total":3,"healthy":2},
	"ledger":{"accepted":{"packets":100,"messages":5000},"delivered":{"packets":90,"messages":4500},"queued":{"packets":7,"messages":350},"in_flight":{"packets":2,"messages":100},"dead_lettered":{"packets":1,"messages":50},"damaged":{"packets":0,"messages":0},"unaccounted_messages":0},
	"dead_letters":{"write_errors":0,"files_removed":0},"rates":{"accepted_messages_per_s":25000,"delivered_messages_per_s":24000.4,"refused_packets_per_s":0},"last_reload":null}`
	analyzersJSON = `{"revision":1234,"bound_messages":66.7,"analyzers":[
		{"id":"a1","spec":{"url":"http://h:9001","weight":0.5,"state":"ready"},"status":{"share":0.5,"target_share":0.5,"deviation_messages":-3.4,"ramp":1,"healthy":true,"health":"healthy","breaker":"closed","queue":{"packets":7,"messages":350},"queue_limit_packets":10000,"in_flight":{"packets":2,"messages":90},"routed":{"packets":100,"messages":5000},"pace":12500,"p99":"4.12ms"}},
		{"id":"a2","spec":{"url":"http://h:9002","weight":0.3,"state":"ready"},"status":{"share":0,"target_share":0.3,"deviation_messages":0,"ramp":0.25,"healthy":false,"health":"down","breaker":"open","queue":{"packets":0,"messages":0},"queue_limit_packets":10000,"in_flight":{"packets":0,"messages":0},"routed":{"packets":0,"messages":0},"pace":0,"p99":"0s","out":"breaker_open","outage":"connect: dial tcp 10.0.0.2:9002: connect: connection refused","until":"2026-11-29T12:00:05Z"}},
		{"id":"a3","spec":{"url":"http://h:9003","weight":0.2,"state":"drain"},"status":{"share":0.2,"target_share":0.2,"deviation_messages":12.6,"ramp":1,"healthy":true,"health":"healthy","breaker":"closed","queue":{"packets":5,"messages":99},"queue_limit_packets":10000,"in_flight":{"packets":1,"messages":9},"routed":{"packets":100,"messages":5000},"pace":5000,"p99":"2ms","out":"drain"},
			"drain":{"operation":"d7","analyzer":"a3","kind":"drain","running":true,"started":"2026-11-29T11:00:00Z","deadline":"2026-11-29T11:01:00Z","left":{"packets":6,"messages":108}}}]}`
	backlogJSON  = `{"total":{"packets":14,"messages":558},"oldest_age":"1.52s","drain_estimate":"30ms","by_place":[{"place":"queue","analyzer":"a1","packets":7,"messages":350,"bytes":1},{"place":"queue","analyzer":"a3","packets":5,"messages":99,"bytes":1},{"place":"in_flight","analyzer":"a1","packets":2,"messages":109,"bytes":1}],"by_emitter":[{"emitter":"web-1","packets":14,"messages":558,"error_messages":0}],"senders":[]}`
	refusalsJSON = `{"emitters":[{"emitter":"batch-7","packets":120,"error_packets":0,"by_reason":[{"reason":"rate_limited","packets":100},{"reason":"shed","packets":20}],"last":"2026-11-29T11:59:58Z"}]}`
	eventsJSON   = `{"events":[{"id":4,"time":"2026-11-29T11:59:00Z","kind":"breaker","path":"analyzers/a2","new":"open"},{"id":5,"time":"2026-11-29T11:59:30Z","kind":"change","path":"analyzers/a3/state","old":"ready","new":"drain","actor":"ops","reason":"kernel"}],"last":5}`
	historyJSON  = `{"boot":"b1","seq":3,"interval":"1s","times":[1,2,3],"columns":{"accepted_messages_per_s":[0,50,100],"delivered_messages_per_s":[null,100,50]},"analyzers":{}}`
	changeJSON   = `{"revision":1234,"dry_run":true,"changed":[{"path":"analyzers/a1/weight","old":0.5,"new":0.1}],"projected":[{"id":"a1","share":0.25,"messages_per_s":6250,"observed_pace":12500,"load":0.5}],"bound_messages":66.7,"warnings":["a3 would get more than it ever delivered"]}`
	doneJSON     = `{"revision":1235,"changed":[{"path":"analyzers/a1/weight","old":0.5,"new":0.1}],"projected":[],"bound_messages":66.7,"warnings":[]}`
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// screen is a model whose commands run at once.
type screen struct {
	*Model
	t      *testing.T
	server *admintest.Server
	quit   bool
}

// newScreen returns a screen of a server that answers all reads.
func newScreen(t *testing.T, role string) *screen {
	t.Helper()
	server := admintest.New(t)
	server.Answer("GET /v1/session", 200, `{"name":"ops","role":"`+role+`","by":"token"}`)
	server.Answer("GET /v1/history", 200, historyJSON)
	server.Answer("GET /v1/status", 200, statusJSON)
	server.Answer("GET /v1/analyzers", 200, analyzersJSON)
	server.Answer("GET /v1/backlog", 200, backlogJSON)
	server.Answer("GET /v1/refusals", 200, refusalsJSON)
	server.Answer("GET /v1/events", 200, eventsJSON)
	server.Answer("GET /v1/events", 200, `{"events":[],"last":5}`)
	return screenOf(t, server)
}

func screenOf(t *testing.T, server *admintest.Server) *screen {
	t.Helper()
	config := adminclient.DefaultConfig()
	config.URL = server.URL
	client, err := adminclient.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s := &screen{t: t, server: server}
	command := func(f func(context.Context) tea.Msg) tea.Cmd { return func() tea.Msg { return f(t.Context()) } }
	s.Model = newModel(client, noon, command, func(msg tea.Msg) { s.Update(msg) })
	return s
}

// tell updates the model and runs what it commands.
func (s *screen) tell(msg tea.Msg) {
	s.t.Helper()
	_, command := s.Update(msg)
	if command == nil {
		return
	}
	switch next := command().(type) {
	case nil:
	case tea.QuitMsg:
		s.quit = true
	default:
		s.tell(next)
	}
}

// connect makes the server known: the intro, and a snapshot with its detail.
func (s *screen) connect() *screen {
	s.t.Helper()
	s.tell(connectedMsg{})
	s.tell(snapshot(s.t, `{"boot":"b1","seq":4,"time":1,"values":{"accepted_messages_per_s":25000,"delivered_messages_per_s":24000,"undelivered_packets":14,"refused_shed_per_s":3,"refused_overloaded_per_s":0},"analyzers":{"a1":{"share":0.51,"routed_messages_per_s":12750,"queued_packets":8}}}`))
	return s
}

func snapshot(t *testing.T, text string) snapshotMsg {
	t.Helper()
	var s adminapi.Snapshot
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return snapshotMsg{s}
}

// keys presses keys: names of special keys, else the characters of a text.
func (s *screen) keys(names ...string) {
	s.t.Helper()
	special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "backspace": tea.KeyBackspace, "up": tea.KeyUp, "down": tea.KeyDown, "pgdown": tea.KeyPgDown, "end": tea.KeyEnd}
	for _, name := range names {
		if code, ok := special[name]; ok {
			s.tell(tea.KeyPressMsg{Code: code})
			continue
		}
		for _, r := range name {
			s.tell(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

// text returns what is on the screen, without styles.
func (s *screen) text() string {
	lines := strings.Split(ansi.Strip(s.View().Content), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (s *screen) shows(want ...string) {
	s.t.Helper()
	for _, w := range want {
		if !strings.Contains(s.text(), w) {
			s.t.Errorf("%q is not on the screen:\n%s", w, s.text())
		}
	}
}

func (s *screen) lacks(unwanted ...string) {
	s.t.Helper()
	for _, u := range unwanted {
		if strings.Contains(s.text(), u) {
			s.t.Errorf("%q is on the screen:\n%s", u, s.text())
		}
	}
}

var errRefused = errors.New("connection refused")
