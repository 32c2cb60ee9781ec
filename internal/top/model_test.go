package top

import (
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient/admintest"
)

func TestScreen(t *testing.T) {
	s := newScreen(t, "operate").connect()
	const want = `DEGRADED · a2 is down · unaccounted 0 · 2 overrides · revision 1234 · up 1h0m1s
in 25000 msg/s   out 24000 msg/s   oldest packet waits 1.5s  refused 3 packets/s
  ANALYZER↑         WEIGHT   SHARE  OFF BY   MSG/S  QUEUE STATE
> a1                   0.5   51.0%      +3   12750      8 healthy
  a2                   0.3    0.0%       0       0      0 out: breaker open (c…
  a3                   0.2   20.0%     -13       0      5 draining, 6 left
BACKLOG 14 packets (558 messages), time to deliver 30ms: 12 in queues, 2 sent
  558 messages of web-1
REFUSED shed 3 packets/s; dead letters: 1 packets
  batch-7: 120 packets refused lately (rate limited, shed), last at 11:59:58
EVENTS
  11:59:30 change analyzers/a3/state: ready → drain by ops; kernel
  11:59:00 breaker analyzers/a2: - → open










? help  / filter  s sort  Enter why  t tap  d drain  w weight  r reload  q quit
`
	if got := s.text(); got != want {
		t.Errorf("got\n%s", got)
	}
}

// Every size has a screen of that size, with the state and the analyzers as long as there
// is any room.
func TestSizes(t *testing.T) {
	s := newScreen(t, "operate").connect()
	for _, open := range []func(){func() {}, func() { s.keys("?") }} {
		open()
		for width := 1; width <= 200; width += 7 {
			for height := 1; height <= 60; height += 3 {
				s.tell(tea.WindowSizeMsg{Width: width, Height: height})
				lines := strings.Split(s.View().Content, "\n")
				if len(lines) > height {
					t.Fatalf("%d×%d: %d lines", width, height, len(lines))
				}
				for _, line := range lines {
					if ansi.StringWidth(line) > width {
						t.Fatalf("%d×%d: %q", width, height, line)
					}
				}
			}
		}
	}
	s.keys("q")
	s.tell(tea.WindowSizeMsg{Width: 40, Height: 10})
	s.shows("DEGRADED", "a1", "SHARE", "STATE", "healthy")
	s.lacks("P99", "TARGET")
	s.tell(tea.WindowSizeMsg{Width: 120, Height: 40})
	s.shows("P99", "4.1ms", "TARGET", "FLIGHT", "in 25000 msg/s ▁▁▁█  out 24000")
}

// Nothing that a server, an emitter or a user writes reaches the terminal as control
// characters: all there is are the styles of this package.
func TestControlCharacters(t *testing.T) {
	evil := strings.NewReplacer(
		"degraded", `\u001b[2Jdegraded`, "a2 is down", `\u001b]0;title\u0007\u009b31m`, `"health":"down"`, `"health":"\u001b[Hdown"`,
		`"a1"`, `"a\u001b[31m1\u0000"`, "web-1", `web\u001b]52;c;cm0=\u0007\u202e`, "kernel", `x\r\n\u001bc`, "ops", `o\u0090ps`,
	)
	server := admintest.New(t)
	server.Answer("GET /v1/session", 200, `{"name":"\u001b[2J","role":"read","by":"token"}`)
	server.Answer("GET /v1/history", 200, historyJSON)
	server.Answer("GET /v1/status", 200, strings.Replace(evil.Replace(statusJSON), `"\u001b[2Jdegraded"`, `"degraded"`, 1))
	server.Answer("GET /v1/analyzers", 200, evil.Replace(analyzersJSON))
	server.Answer("GET /v1/backlog", 200, evil.Replace(backlogJSON))
	server.Answer("GET /v1/refusals", 200, evil.Replace(refusalsJSON))
	server.Answer("GET /v1/events", 200, evil.Replace(eventsJSON))
	server.Answer("GET /v1/explain", 200, `{"analyzer":"a","share":0.5,"weight":0.5,"ramp":1,"member":true,"sentence":"\u001b[5mblink\u0007"}`)
	s := screenOf(t, server).connect()
	s.tell(snapshot(t, `{"boot":"b1","seq":5,"texts":{"state":"\u001b[2J","reason":"\u001b[3J"},"values":{"refused_\u001b[1m_per_s":2}}`))
	check := func() {
		t.Helper()
		for _, line := range strings.Split(s.View().Content, "\n") {
			for _, known := range []style{bold, dim, reverse, bad, warn, good, plainStyle} {
				line = strings.ReplaceAll(line, "\x1b["+string(known)+"m", "")
			}
			for _, r := range line {
				if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' {
					t.Errorf("%q", line)
					break
				}
			}
		}
	}
	s.tell(tea.WindowSizeMsg{Width: 150, Height: 40})
	check()
	s.shows(`web\x1b]52`, `\u202e`, `o\u0090ps`, `\x1b[2J`, `\x1b[3J`)
	s.keys("d")
	check()
	s.shows(`The role of "\x1b[2J" is read`)
	s.keys("/")
	s.tell(tea.KeyPressMsg{Code: 'x', Text: "\x1b[2J"})
	check()
	s.keys("esc", "enter")
	check()
	s.shows(`\x1b[5mblink`)
	s.keys("q")
	s.tell(disconnectedMsg{fmt.Errorf("\x1b[2J"), time.Second})
	check()
}

func TestSelectionSortAndFilter(t *testing.T) {
	s := newScreen(t, "operate").connect()
	s.keys("down", "j")
	s.shows("> a3")
	s.keys("down", "k")
	s.shows("> a2")
	for range 4 {
		s.keys("s")
	}
	s.keys("S")
	s.shows("OFF BY↓")
	if text := s.text(); strings.Index(text, "a1  ") > strings.Index(text, "a2  ") || strings.Index(text, "a2  ") > strings.Index(text, "a3  ") {
		t.Error(text)
	}
	s.keys("/", "DRAIM", "backspace", "n")
	s.shows("Filter: DRAIn_")
	s.keys("enter")
	s.shows("> a3", "filter DRAIn")
	s.lacks("a1  ", "a2  ")
	s.keys("/", "x", "enter")
	s.shows("no analyzer matches")
	s.keys("d")
	s.shows("No analyzer is selected.")
	s.keys("esc", "/", "y", "esc")
	s.shows("a1  ")
}

// Each column sorts, and the selection stays with its analyzer.
func TestEveryColumnSorts(t *testing.T) {
	s := newScreen(t, "operate").connect()
	s.tell(tea.WindowSizeMsg{Width: 200, Height: 40})
	for _, c := range columns {
		s.shows(c.name+"↑", "> a1")
		s.keys("s")
	}
	s.shows("ANALYZER↑")
}

// A change shows what it would do, needs y, and is for the revision that was shown.
func TestWeight(t *testing.T) {
	s := newScreen(t, "operate").connect()
	s.server.Answer("PATCH /v1/analyzers/a1", 200, changeJSON)
	s.keys("w", "x.1", "enter")
	s.shows(`The weight "x.1" must be a number above 0.`)
	s.keys("w", "0.1", "enter")
	s.shows("Change: weight of a1 from 0.5 to 0.1", "analyzers/a1/weight: 0.5 → 0.1", "a1                        51.0%    25.0%     6250    50.0%", "Warning: a3 would get more", "Change it? y/N")
	s.keys("n")
	s.shows("Nothing was changed.")
	s.server.Answer("PATCH /v1/analyzers/a1", 200, doneJSON) // after the preview that is still to come
	s.keys("w", "0.1", "enter", "y")
	s.shows("Done: weight of a1 from 0.5 to 0.1, revision 1235.")
	got := s.server.Requests(false)
	last := got[len(got)-1]
	if last.Line != "PATCH /v1/analyzers/a1" || last.IfMatch != `"1234"` || last.Body != `{"reason":"top","weight":0.1}` {
		t.Error(last)
	}
	for _, r := range got[:len(got)-1] {
		if r.Line != "PATCH /v1/analyzers/a1?dry_run=true" {
			t.Error(r)
		}
	}
}

// If the configuration changed after the preview, the change is shown anew and not made.
func TestStaleRevision(t *testing.T) {
	s := newScreen(t, "operate").connect()
	s.server.Answer("PATCH /v1/analyzers/a1", 200, changeJSON)
	s.server.Refuse("PATCH /v1/analyzers/a1", 412, "stale_revision", "the revision is 1240")
	s.server.Answer("PATCH /v1/analyzers/a1", 200, strings.Replace(changeJSON, `"revision":1234`, `"revision":1240`, 1))
	s.server.Answer("PATCH /v1/analyzers/a1", 202, strings.Replace(doneJSON, `}`, `}`, 1))
	s.keys("d", "y")
	s.shows("Change: drain a1", "was changed meanwhile", "Change it? y/N")
	s.keys("y")
	s.shows("Done: drain a1")
	got := s.server.Requests(false)
	if last := got[len(got)-1]; last.IfMatch != `"1240"` || last.Body != `{"reason":"top","state":"drain"}` {
		t.Error(last)
	}
}

func TestDrainAndReady(t *testing.T) {
	s := newScreen(t, "operate").connect()
	s.server.Refuse("PATCH /v1/analyzers/a1", 409, "last_analyzer", "a1 is the last ready analyzer")
	s.keys("d")
	s.shows("a1 is the last ready analyzer (last_analyzer)")
	s.server.Answer("PATCH /v1/analyzers/a3", 200, changeJSON)
	s.keys("end", "d")
	s.shows("Change: make a3 ready")
	s.keys("esc")
	s.server.Answer("POST /v1/reload", 200, changeJSON)
	s.server.Answer("POST /v1/reload", 200, doneJSON)
	s.keys("r", "y")
	s.shows("Done: reload, revision 1235.")
}

// Enter before y does not confirm, and neither does y before the preview.
func TestConfirmationNeedsThePreview(t *testing.T) {
	s := newScreen(t, "operate").connect()
	s.server.Answer("PATCH /v1/analyzers/a1", 200, changeJSON)
	_, preview := s.Update(tea.KeyPressMsg{Code: 'd', Text: "d"})
	s.keys("y")
	s.shows("Asking what it would do")
	s.tell(preview())
	s.keys("enter")
	s.shows("Nothing was changed.")
	for _, r := range s.server.Requests(false) {
		if !strings.Contains(r.Line, "dry_run=true") {
			t.Error(r)
		}
	}
}

// The role read has no changes, and says so.
func TestRoleRead(t *testing.T) {
	s := newScreen(t, "read").connect()
	s.tell(tea.WindowSizeMsg{Width: 120, Height: 24})
	s.shows("role read: no changes")
	s.lacks("d drain", "w weight", "r reload")
	for key, action := range map[string]string{"d": "drain a1", "w": "a new weight", "r": "reload"} {
		s.keys(key)
		s.shows(`The role of "ops" is read: ` + action + " needs the role operate.")
	}
	if got := s.server.Requests(false); len(got) > 0 {
		t.Error(got)
	}
}

// Without a connection the last state stays, marked as such, and nothing can be changed.
func TestDisconnected(t *testing.T) {
	s := newScreen(t, "operate").connect()
	s.server.Answer("PATCH /v1/analyzers/a1", 200, changeJSON)
	s.keys("d")
	s.tell(clockMsg(noon.Add(time.Second)))
	s.tell(disconnectedMsg{errRefused, 3 * time.Second})
	s.tell(clockMsg(noon.Add(12 * time.Second)))
	s.tell(tea.WindowSizeMsg{Width: 140, Height: 24})
	s.shows("DISCONNECTED from http://127.0.0.1:", "last seen 12s ago, trying again in 0s: connection refused", "a1  ", "Nothing was changed: drain a1 was not confirmed")
	s.keys("d")
	s.shows("Disconnected: drain a1 has to wait for the connection.")
	s.keys("w")
	s.shows("Disconnected: a new weight has to wait for the connection.")
	s.keys("k")
	s.shows("no changes while disconnected")
	if got := s.server.Requests(false); len(got) != 1 {
		t.Error(got)
	}
	s.connect()
	s.shows("DEGRADED", "d drain")
}

// Another process begins with other events and rates, and says that it is another one.
func TestRestart(t *testing.T) {
	s := newScreen(t, "operate").connect()
	s.tell(disconnectedMsg{errRefused, time.Second})
	s.tell(connectedMsg{})
	s.tell(resetMsg{"b2"})
	s.shows("CONNECTED to", "no data yet", "No data yet.")
	s.tell(snapshot(t, `{"boot":"b2","seq":1,"time":1,"values":{"accepted_messages_per_s":5},"analyzers":{}}`))
	s.shows("RESTARTED", "in 5 msg/s")
	got := s.server.Requests(true)
	if last := got[len(got)-1].Line; last != "GET /v1/events?after=0&limit=10000" {
		t.Error(last)
	}
}

func TestBanner(t *testing.T) {
	s := newScreen(t, "operate")
	s.shows("DISCONNECTED from http://127.0.0.1:", "connecting")
	s.server = nil
	s = newScreen(t, "operate").connect()
	s.tell(tea.WindowSizeMsg{Width: 200, Height: 24})
	d := s.detail
	d.Status.Ready, d.Status.Intake, d.Status.Ledger.UnaccountedMessages = false, "paused", 7
	s.tell(detailMsg{detail: d})
	s.shows("NOT READY", "INTAKE PAUSED", "unaccounted 7")
	if content := s.View().Content; !strings.HasPrefix(content, "\x1b[31;1m") {
		t.Errorf("%q", content[:20])
	}
	s.tell(detailMsg{err: errRefused})
	s.shows("connection refused")
}

func TestExplainAndHelp(t *testing.T) {
	s := newScreen(t, "operate").connect()
	s.server.Answer("GET /v1/explain", 200, `{"analyzer":"a1","share":0.5,"weight":0.5,"ramp":1,"member":true,"sentence":"a1 gets 51 %: its weight is 0.5 of 0.98."}`)
	s.keys("enter")
	s.shows("Why a1 has its share", "a1 gets 51 %: its weight is 0.5 of 0.98.", "breaker closed", "queue 8 of 10000 packets")
	s.keys("esc")
	s.server.Refuse("GET /v1/explain", 404, "not_found", "no such analyzer")
	s.server.Answer("GET /v1/explain", 200, `{"analyzer":"a1","share":0.5,"weight":0.5,"ramp":1,"member":true,"sentence":"x"}`)
	s.keys("?")
	for _, key := range []string{"q, Ctrl-C", "w  ", "y."} {
		s.shows(key)
	}
	s.keys("down", "down")
	s.lacks("select an analyzer")
	s.keys("q")
	if s.quit {
		t.Error("q on a page quits")
	}
	s.keys("q")
	if !s.quit {
		t.Error("q does not quit")
	}
}

// A tap fills its page up to a bound, and stays where the user scrolled.
func TestTap(t *testing.T) {
	s := newScreen(t, "operate").connect()
	var events strings.Builder
	for i := range maxTapped + 100 {
		fmt.Fprintf(&events, "event: packet\ndata: {\"time\":\"2026-11-29T11:00:00Z\",\"stage\":\"delivered\",\"emitter_id\":\"web\",\"packet_id\":\"%d\",\"analyzer\":\"a1\",\"messages\":5,\"bytes\":512}\n\n", i)
	}
	s.server.Stream("GET /v1/tap", false, events.String()+"event: end\ndata: {\"reason\":\"over\"}\n\n")
	s.keys("t")
	s.shows("Tap of a1", "web/599: 5 messages", "the tap has ended: {\"reason\":\"over\"}")
	if len(s.page.lines) != maxTapped {
		t.Error(len(s.page.lines))
	}
	s.keys("up")
	s.tell(tappedMsg{"Tap of a1", "one more"})
	s.lacks("one more")
	s.keys("end")
	s.shows("one more")
	s.keys("esc")
	s.tell(tappedMsg{"Tap of a1", "late one"})
	s.lacks("late one")
	if got := s.server.Requests(true); got[len(got)-1].Line != "GET /v1/tap?analyzer=a1" {
		t.Error(got[len(got)-1])
	}
}

// A closed page ends its tap.
func TestClosedTapEnds(t *testing.T) {
	s := newScreen(t, "operate").connect()
	s.server.Stream("GET /v1/tap", true, "event: packet\ndata: {\"time\":\"2026-11-29T11:00:00Z\",\"stage\":\"delivered\",\"emitter_id\":\"web\",\"packet_id\":\"1\",\"analyzer\":\"a1\",\"messages\":5,\"bytes\":512}\n\n")
	first := make(chan tea.Msg, 1)
	s.Model.send = func(msg tea.Msg) { first <- msg }
	_, command := s.Update(tea.KeyPressMsg{Code: 't', Text: "t"})
	ended := make(chan tea.Msg)
	go func() { ended <- command() }()
	s.tell(<-first)
	s.shows("web/1")
	s.keys("q")
	if msg := <-ended; msg != nil {
		t.Error(msg)
	}
}

func TestManyAnalyzers(t *testing.T) {
	server := admintest.New(t)
	one := analyzersJSON[strings.Index(analyzersJSON, `{"id":"a1"`):strings.Index(analyzersJSON, `,
		{"id":"a2"`)]
	var all []string
	for i := range 200 {
		all = append(all, strings.Replace(one, `"a1"`, fmt.Sprintf(`"a%03d"`, i), 1))
	}
	server.Answer("GET /v1/session", 200, `{"name":"ops","role":"operate","by":"token"}`)
	server.Answer("GET /v1/history", 200, historyJSON)
	server.Answer("GET /v1/status", 200, statusJSON)
	server.Answer("GET /v1/analyzers", 200, `{"revision":1,"bound_messages":1,"analyzers":[`+strings.Join(all, ",")+`]}`)
	server.Answer("GET /v1/backlog", 200, backlogJSON)
	server.Answer("GET /v1/refusals", 200, refusalsJSON)
	server.Answer("GET /v1/events", 200, eventsJSON)
	s := screenOf(t, server).connect()
	s.shows("> a000", "more", "BACKLOG", "EVENTS")
	s.keys("end")
	s.shows("> a199", "BACKLOG")
	s.keys("up", "pgdown")
	s.shows("> a199")
}

// The words of a state are those of the console: whether it gets packets, why not, and until when.
func TestStateWords(t *testing.T) {
	until := time.Date(2026, 11, 29, 12, 0, 5, 0, time.UTC)
	for _, test := range []struct {
		state, health, out, outage string
		until                      time.Time
		ramp                       float64
		want                       string
	}{
		{"ready", "healthy", "", "", time.Time{}, 1, "healthy"},
		{"ready", "warming up", "", "", time.Time{}, 0.25, "warming up: 25.0%"},
		{"ready", "down", "breaker_open", `read: read tcp 10.0.0.1:1->10.0.0.2:9002: i/o timeout`, until, 0, "out: breaker open (i/o timeout), next try at 12:00:05"},
		{"ready", "down", "breaker_open", `status: 500 ""`, time.Time{}, 0, "out: breaker open (status: 500)"},
		{"ready", "down", "", "", time.Time{}, 0, "out: no answer"},
		{"ready", "healthy", "asked_pause", "", until, 1, "out: pausing, until 12:00:05"},
		{"ready", "healthy", "no_room", "", time.Time{}, 1, "full"},
		{"ready", "down", "probing", "", time.Time{}, 1, "out: first probe"},
		{"maint", "healthy", "maint", "", time.Time{}, 1, "maintenance"},
		{"drain", "healthy", "drain", "", time.Time{}, 1, "drained"},
	} {
		var a adminapi.Analyzer
		a.Spec.State, a.Status.Health, a.Status.Out, a.Status.Outage, a.Status.Until, a.Status.Ramp = test.state, test.health, test.out, test.outage, test.until, test.ramp
		if got := stateOf(a); got != test.want {
			t.Errorf("%+v: %q, want %q", test, got, test.want)
		}
	}
}
