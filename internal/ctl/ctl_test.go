package ctl

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/adminclient"
	"github.com/logstreamer/logstreamer/internal/adminclient/admintest"
)

const (
	analyzersJSON = `{"revision":1234,"bound_messages":66.7,"analyzers":[
		{"id":"a1","spec":{"url":"http://h:9001","weight":0.5,"state":"ready"},"status":{"share":0.5,"target_share":0.5,"deviation_messages":-3.4,"ramp":1,"healthy":true,"health":"healthy","breaker":"closed","queue":{"packets":7,"messages":350},"queue_limit_packets":10000,"in_flight":{"packets":2,"messages":90},"routed":{"packets":100,"messages":5000},"pace":12500,"p99":"4.1ms"}},
		{"id":"a2","spec":{"url":"http://h:9002","weight":0.3,"state":"drain"},"status":{"share":0,"target_share":0.3,"deviation_messages":0,"ramp":0.25,"healthy":false,"health":"down","breaker":"open","queue":{"packets":0,"messages":0},"queue_limit_packets":10000,"in_flight":{"packets":0,"messages":0},"routed":{"packets":0,"messages":0},"pace":0,"p99":"0s","out":"breaker_open","outage":"dial: refused\u001b","until":"2026-11-29T12:00:00Z"},"drain":` + drained + `}]}`
	drained    = `{"operation":"d7","analyzer":"a2","kind":"drain","running":false,"started":"2026-11-29T11:00:00Z","deadline":"2026-11-29T11:01:00Z","ended":"2026-11-29T11:00:20Z","proof":{"result":"drained","held":{"packets":41,"messages":2070},"delivered":38,"rerouted":3,"dead_lettered":0,"remaining":0,"routed_since":0,"possible_duplicates":3,"unaccounted":0}}`
	draining   = `{"operation":"d7","analyzer":"a2","kind":"drain","running":true,"started":"2026-11-29T11:00:00Z","deadline":"2026-11-29T11:01:00Z","left":{"packets":5,"messages":200}}`
	changeJSON = `{"revision":1235,"changed":[{"path":"analyzers/a2/weight","old":0.3,"new":0.1}],"projected":[{"id":"a1","share":0.625,"messages_per_s":15600,"observed_pace":22000,"load":0.71},{"id":"a4","share":0.375,"messages_per_s":9400,"observed_pace":0,"load":0}],"bound_messages":66.7,"warnings":["a1 would get more than it ever delivered"]}`
	drainJSON  = `{"revision":1236,"changed":[{"path":"analyzers/a2/state","old":"ready","new":"drain"}],"projected":[],"bound_messages":66.7,"warnings":[],"operation":"d7"}`
)

// invoke runs a command line against a server.
func invoke(t *testing.T, server *admintest.Server, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	config := adminclient.DefaultConfig()
	config.URL = server.URL
	commands := Commands(Dependencies{
		Client: func() (*adminclient.Client, error) { return adminclient.New(config) },
		Stdin:  strings.NewReader(stdin), Stdout: &out, Stderr: &errs,
	})
	var found Command
	for len(commands) > 0 {
		i := slices.IndexFunc(commands, func(c Command) bool { return c.Name == args[0] })
		if i < 0 {
			t.Fatalf("no command %q", args[0])
		}
		found, commands, args = commands[i], commands[i].Subcommands, args[1:]
	}
	set := flag.NewFlagSet(found.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	found.Declare(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	args, err = ParseInterspersed(set, set.Args())
	if err != nil {
		t.Fatal(err)
	}
	err = found.Run(t.Context(), args)
	return out.String(), errs.String(), err
}

// Each change is one request, which the server checks against the OpenAPI document.
func TestChanges(t *testing.T) {
	for _, c := range []struct{ line, request, body string }{
		{"weight a2 0.1", "PATCH /v1/analyzers/a2", `{"weight":0.1}`},
		{"weight -dry-run a2 0.1 -ttl 15m", "PATCH /v1/analyzers/a2?dry_run=true", `{"ttl":"15m0s","weight":0.1}`},
		{"drain a2 -deadline 60s -force -reason x", "PATCH /v1/analyzers/a2", `{"deadline":"1m0s","force":true,"reason":"x","state":"drain"}`},
		{"maint a2", "PATCH /v1/analyzers/a2", `{"state":"maint"}`},
		{"ready a2", "PATCH /v1/analyzers/a2", `{"state":"ready"}`},
		{"add a4 http://h:9004 0.2", "POST /v1/analyzers", `{"id":"a4","url":"http://h:9004","weight":0.2}`},
		{"remove a2 -deadline 5s", "DELETE /v1/analyzers/a2?deadline=5s", ``},
		{"remove a2 -reason gone", "DELETE /v1/analyzers/a2", `{"reason":"gone"}`},
		{"remove a2 -force", "DELETE /v1/analyzers/a2", `{"force":true}`},
		{"revert -all -force", "DELETE /v1/overrides", `{"force":true}`},
		{"breaker reset a2", "POST /v1/analyzers/a2/breaker", `{"action":"reset"}`},
		{"breaker open a2 -ttl 10m", "POST /v1/analyzers/a2/breaker", `{"action":"open","ttl":"10m0s"}`},
		{"replace -if-match 1234 -", "PUT /v1/analyzers", `{"analyzers":[{"url":"http://h:1","weight":1}]}`},
		{"settings set rate_limit=100 shed=DEBUG@80% intake=paused health_check_interval_sec=1.5 x=null", "PATCH /v1/settings", `{"health_check_interval_sec":1.5,"intake":"paused","rate_limit":100,"shed":"DEBUG@80%","x":"null"}`},
		{"settings set a=5] b=5} c=[5] d=5,6", "PATCH /v1/settings", `{"a":"5]","b":"5}","c":"[5]","d":"5,6"}`},
		{"settings revert rate_limit shed", "PATCH /v1/settings", `{"rate_limit":null,"shed":null}`},
		{"limits set web-1 100", "PUT /v1/limits?emitter=web-1", `{"rate":100}`},
		{"limits set a/?&\xff 100 500", "PUT /v1/limits?emitter=a%2F%3F%26%FF", `{"burst":500,"rate":100}`},
		{"limits clear web-1", "DELETE /v1/limits?emitter=web-1", ``},
		{"revert analyzers/a2/weight", "DELETE /v1/overrides/analyzers/a2/weight", ``},
		{"revert -all", "DELETE /v1/overrides", ``},
		{"reload -dry-run -reason x", "POST /v1/reload?dry_run=true", `{"reason":"x"}`},
	} {
		server := admintest.New(t)
		server.Answer("GET /v1/analyzers", 200, analyzersJSON)
		method, rest, _ := strings.Cut(c.request, " ")
		path, _, _ := strings.Cut(rest, "?")
		status := 200
		if c.line[:3] == "add" {
			status = 201
		}
		server.Answer(method+" "+path, status, changeJSON)
		_, _, err := invoke(t, server, `[{"url":"http://h:1","weight":1}]`, strings.Split(c.line, " ")...)
		got := server.Requests(false)
		if err != nil || len(got) != 1 || got[0].Line != c.request || got[0].Body != c.body {
			t.Errorf("%s: %v, %+v", c.line, err, got)
		}
	}
}

func TestChangeOutput(t *testing.T) {
	server := admintest.New(t)
	server.Answer("GET /v1/analyzers", 200, analyzersJSON)
	server.Answer("PATCH /v1/analyzers/a2", 200, changeJSON)
	out, _, err := invoke(t, server, "", "weight", "a2", "0.1", "-if-match", "1234")
	const want = `Revision 1235.
CHANGED              OLD  NEW
analyzers/a2/weight  0.3  0.1
ANALYZER  SHARE NOW  PROJECTED  MESSAGES/S  PACE SEEN    LOAD
a1           50.0 %     62.5 %       15600      22000  71.0 %
a4                -     37.5 %        9400          -       -
No analyzer is further from its share than 66.7 messages.
Warning: a1 would get more than it ever delivered.
`
	if err != nil || out != want {
		t.Errorf("%v\n%s", err, out)
	}
	if got := server.Requests(false); got[0].IfMatch != `"1234"` {
		t.Error(got)
	}
	server.Answer("PATCH /v1/analyzers/a1", 200, strings.Replace(changeJSON, `"changed"`, `"dry_run":true,"changed"`, 1))
	out, _, err = invoke(t, server, "", "weight", "a1", "0.1", "-dry-run", "-json")
	if err != nil || !strings.HasPrefix(out, "{\n  \"revision\": 1235,\n  \"dry_run\": true,") {
		t.Errorf("%v\n%s", err, out)
	}
	out, _, err = invoke(t, server, "", "weight", "a1", "0.1", "-dry-run")
	if err != nil || !strings.HasPrefix(out, "Nothing was changed, as this is a dry run. The revision is 1235.\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// -wait prints the proof, and fails unless it adds up.
func TestWaitForDrain(t *testing.T) {
	for _, c := range []struct{ name, final, out, err string }{
		{"drained", drained, "Of 41 packets (2070 messages) that it held: 38 delivered, 3 rerouted, 0 dead-lettered, 0 remaining; 0 unaccounted.", ""},
		{"cut", strings.Replace(drained, `"drained"`, `"cut"`, 1), "a2: cut at 2026-11-29T11:00:20Z.", ""},
		{"canceled", strings.Replace(drained, `"drained"`, `"canceled"`, 1), "a2: canceled", "was canceled"},
		{"unaccounted", strings.Replace(drained, `"unaccounted":0`, `"unaccounted":1`, 1), "1 unaccounted", "1 packets are unaccounted for"},
		{"a wrong sum", strings.Replace(drained, `"rerouted":3`, `"rerouted":2`, 1), "2 rerouted", "lacks 1"},
		{"no proof", drained[:strings.Index(drained, `,"proof"`)] + "}", "", "without a proof"},
	} {
		server := admintest.New(t)
		server.Answer("GET /v1/analyzers", 200, analyzersJSON)
		server.Answer("PATCH /v1/analyzers/a2", 202, drainJSON)
		server.Answer("GET /v1/drains/d7", 200, draining)
		server.Answer("GET /v1/drains/d7", 200, c.final)
		out, errs, err := invoke(t, server, "", "drain", "a2", "-wait")
		if !strings.Contains(out, c.out) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || ExitCode(err) > ExitFailed {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
		if !strings.Contains(errs, "a2 still holds 5 packets (200 messages); deadline 2026-11-29T11:01:00Z") {
			t.Errorf("%s: %s", c.name, errs)
		}
	}
}

func TestWaitForReplay(t *testing.T) {
	replay := func(state string, replayed, failed int) string {
		return fmt.Sprintf(`{"id":"r1","state":%q,"matched":12,"replayed":%d,"failed":%d,"started":"2026-11-29T11:00:00Z"}`, state, replayed, failed)
	}
	for final, want := range map[string]string{
		replay("done", 12, 0):    "",
		replay("done", 11, 1):    "1 failed, 0 not sent",
		replay("done", 11, 0):    "0 failed, 1 not sent",
		replay("canceled", 5, 0): "is canceled",
		replay("failed", 0, 0):   "is failed",
	} {
		server := admintest.New(t)
		server.Answer("POST /v1/dead-letters/replay", 202, replay("running", 0, 0))
		server.Answer("GET /v1/dead-letters/replays/r1", 200, replay("waiting", 3, 0))
		server.Answer("GET /v1/dead-letters/replays/r1", 200, final)
		out, errs, err := invoke(t, server, "", "dead-letters", "replay", "-analyzer", "a2", "-expect", "12", "-rate", "100", "-wait")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || !strings.Contains(errs, "3 of 12 sent") || !strings.Contains(out, "12 dead letters are being sent again.") {
			t.Errorf("%s: %v\n%s%s", final, err, out, errs)
		}
		if got := server.Requests(false); got[0].Body != `{"expect_count":12,"filter":{"analyzer":"a2"},"rate":100}` {
			t.Error(got)
		}
	}
}

func TestDeadLetters(t *testing.T) {
	const letter = `{"id":"3-17","time":"2026-11-29T11:00:00Z","analyzer":"a2","reason":"invalid_packet","emitter_id":"web\u001b[2J","packet_id":"42","messages":5,"bytes":512,"replayed":false}`
	server := admintest.New(t)
	server.Answer("GET /v1/dead-letters", 200, `{"dead_letters":[`+letter+`],"next":"3-17","unreadable":1}`)
	server.Answer("GET /v1/dead-letters", 200, `{"dead_letters":[`+letter+`],"unreadable":0}`)
	out, _, err := invoke(t, server, "", "dead-letters", "list", "-filter-reason", "invalid_packet")
	const want = `ID    TIME                  ANALYZER  REASON          EMITTER     PACKET  MESSAGES  BYTES  REPLAYED
3-17  2026-11-29T11:00:00Z  a2        invalid_packet  web\x1b[2J  42             5    512  false
3-17  2026-11-29T11:00:00Z  a2        invalid_packet  web\x1b[2J  42             5    512  false
1 lines are no dead letters: damaged, edited or too long.
`
	if err != nil || out != want {
		t.Errorf("%v\n%s", err, out)
	}
	if got := server.Requests(true); got[0].Line != "GET /v1/dead-letters?reason=invalid_packet" || got[1].Line != "GET /v1/dead-letters?after=3-17&reason=invalid_packet" {
		t.Error(got)
	}
	for limit, want := range map[string][]string{"2": {"2", "1"}, "1500": {"1000", "1000", "1000"}} {
		server := admintest.New(t)
		server.Answer("GET /v1/dead-letters", 200, `{"dead_letters":[`+letter+`],"next":"3-17","unreadable":0}`)
		server.Answer("GET /v1/dead-letters", 200, `{"dead_letters":[`+letter+`],"next":"3-17","unreadable":0}`)
		server.Answer("GET /v1/dead-letters", 200, `{"dead_letters":[],"unreadable":0}`)
		if _, _, err := invoke(t, server, "", "dead-letters", "list", "-limit", limit); err != nil {
			t.Error(err)
		}
		for i, r := range server.Requests(true) {
			if i >= len(want) || !strings.HasSuffix(r.Line, "limit="+want[i]) {
				t.Errorf("-limit %s: request %d is %s, want limits %q", limit, i, r.Line, want)
			}
		}
	}
	server.Answer("GET /v1/dead-letters/3-17", 200, strings.TrimSuffix(letter, "}")+`,"packet":{"a":"\u009b"}}`)
	out, _, err = invoke(t, server, "", "dead-letters", "show", "3-17")
	if err != nil || !strings.HasSuffix(out, "{\n  \"a\": \"\\u009b\"\n}\n") {
		t.Errorf("%v\n%s", err, out)
	}
	server.Answer("POST /v1/dead-letters/delete", 200, `{"matched":1}`)
	out, _, err = invoke(t, server, "", "dead-letters", "delete", "3-17")
	if err != nil || out != "1 dead letters were deleted.\n" {
		t.Errorf("%v\n%s", err, out)
	}
	for _, line := range []string{"dead-letters delete", "dead-letters replay -analyzer a2", "dead-letters replay x -analyzer a2", "dead-letters delete x -expect 1"} {
		if _, _, err := invoke(t, server, "", strings.Fields(line)...); ExitCode(err) != ExitUsage {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestExitCodes(t *testing.T) {
	server := admintest.New(t)
	server.Answer("GET /v1/analyzers", 200, analyzersJSON)
	for status, want := range map[int]int{401: ExitUnauthorized, 403: ExitUnauthorized, 412: ExitStale, 409: ExitFailed, 422: ExitFailed, 503: ExitFailed} {
		id := fmt.Sprint("a", status)
		server.Refuse("PATCH /v1/analyzers/"+id, status, map[int]string{401: "unauthorized", 403: "forbidden", 412: "stale_revision", 409: "last_analyzer", 422: "invalid_setting", 503: "unavailable"}[status], "no")
		out, _, err := invoke(t, server, "", "weight", id, "1", "-json")
		if ExitCode(err) != want || !strings.Contains(out, `"status": `+fmt.Sprint(status)) {
			t.Errorf("%d: %v\n%s", status, err, out)
		}
	}
	for _, line := range []string{"weight a2", "weight a2 heavy", "weight a2 NaN", "weight a2 1 2", "settings set x", "settings set =1", "settings set ttl=1m", "revert", "revert x -all", "replace -", "limits set e", "limits set e 1 x"} {
		if _, _, err := invoke(t, server, "", strings.Fields(line)...); ExitCode(err) != ExitUsage {
			t.Errorf("%s: %v", line, err)
		}
	}
	unreachable := &admintest.Server{URL: "http://127.0.0.1:1"}
	if _, _, err := invoke(t, unreachable, "", "status"); ExitCode(err) != ExitUnreachable {
		t.Error(err)
	}
	if ExitCode(nil) != 0 || ExitCode(context.Canceled) != ExitFailed {
		t.Error("others")
	}
}

func TestCompletion(t *testing.T) {
	server := admintest.New(t)
	server.Answer("GET /v1/analyzers", 200, analyzersJSON)
	server.Answer("GET /v1/settings", 200, `{"revision":1,"settings":{"shed":{"value":"","origin":"default","overridden":false},"intake":{"value":"open","origin":"default","overridden":false}}}`)
	config := adminclient.DefaultConfig()
	config.URL = server.URL
	for name, c := range map[string]struct {
		s    spec
		args []string
		want []string
	}{
		"first":    {spec{args: []argument{analyzerID, {"WEIGHT", nil}}}, nil, []string{"a1", "a2"}},
		"second":   {spec{args: []argument{analyzerID, {"WEIGHT", nil}}}, []string{"a1"}, nil},
		"beyond":   {spec{args: []argument{analyzerID}}, []string{"a1"}, nil},
		"repeated": {spec{args: []argument{{"KEY…", completeSettings}}}, []string{"shed"}, []string{"intake", "shed"}},
	} {
		got := c.s.complete(t.Context(), Dependencies{Client: func() (*adminclient.Client, error) { return adminclient.New(config) }}, c.args)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// A tap ends when the server ends it; a stream of events continues, after a refusal too if it
// was there once.
func TestStreams(t *testing.T) {
	server := admintest.New(t)
	server.Stream("GET /v1/tap", false, "event: packet\ndata: {\"time\":\"2026-11-29T11:00:00.5Z\",\"stage\":\"delivered\",\"emitter_id\":\"web\\u009b\",\"packet_id\":\"1\",\"analyzer\":\"a1\",\"messages\":5,\"bytes\":512}\n\n"+
		"event: dropped\ndata: {\"dropped\":7}\n\nevent: end\ndata: {\"reason\":\"10 minutes are over\"}\n\n")
	out, errs, err := invoke(t, server, "", "tap", "-stage", "delivered", "-sample", "10", "-bodies")
	if err != nil || out != "11:00:00.500 delivered     web\\u009b/1: 5 messages, 512 bytes, a1\n7 packets were left out\n" || !strings.Contains(errs, "10 minutes are over") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
	if got := server.Requests(true)[0].Line; got != "GET /v1/tap?bodies=true&sample=10&stage=delivered" {
		t.Error(got)
	}
	server.Refuse("GET /v1/events", 401, "unauthorized", "no")
	if _, _, err = invoke(t, server, "", "events", "-follow"); ExitCode(err) != ExitUnauthorized {
		t.Error(err)
	}
	server.AnswerText("GET /v1/trace", "application/x-ndjson", "{\"trace\": 1}\n{\"t\":1.25}\n")
	if out, _, err = invoke(t, server, "", "trace", "-for", "5s", "-past", "7"); err != nil || out != "{\"trace\":1}\n{\"t\":1.25}\n" {
		t.Error(out, err)
	}
	if got := server.Requests(true); got[len(got)-1].Line != "GET /v1/trace?duration=5s&past=7" {
		t.Error(got)
	}
}

// Followed events continue after a lost connection.
func TestFollowedEventsGoOn(t *testing.T) {
	server := admintest.New(t)
	event := func(id int) string {
		return fmt.Sprintf("id: %d\nevent: event\ndata: {\"id\":%d,\"time\":\"2026-11-29T11:00:00Z\",\"kind\":\"drain\",\"path\":\"analyzers/a2/state\",\"old\":\"ready\",\"new\":\"drain\",\"actor\":\"ops\"}\n\n", id, id)
	}
	server.Stream("GET /v1/events", false, event(1))
	server.Stream("GET /v1/events", false, event(2))
	server.Refuse("GET /v1/events", 403, "forbidden", "no")
	out, errs, err := invoke(t, server, "", "events", "-follow", "-after", "7")
	const want = "1 2026-11-29T11:00:00Z drain analyzers/a2/state: ready → drain by ops\n2 2026-11-29T11:00:00Z drain analyzers/a2/state: ready → drain by ops\n"
	if out != want || !strings.Contains(errs, "trying again in") || ExitCode(err) != ExitUnauthorized {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
	if got := server.Requests(true); got[0].LastEventID != "" || got[1].LastEventID != "1" || got[2].LastEventID != "2" {
		t.Error(got)
	}
}

// A server that restarts while an operation is waited for is waited for, too.
func TestWaitSurvivesRestart(t *testing.T) {
	server := admintest.New(t)
	server.Answer("GET /v1/analyzers", 200, analyzersJSON)
	server.Answer("PATCH /v1/analyzers/a2", 202, drainJSON)
	server.Drop("GET /v1/drains/d7") // which the transport repeats itself
	server.Drop("GET /v1/drains/d7")
	server.Answer("GET /v1/drains/d7", 200, drained)
	out, errs, err := invoke(t, server, "", "drain", "a2", "-wait", "-json")
	if err != nil || !strings.Contains(out, `"result": "drained"`) || !strings.Contains(errs, "trying again") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
}
