package ctl

import (
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/adminclient/admintest"
)

const statusJSON = `{"state":"degraded","reason":"a2 is \u001b[31mdown","ready":true,"intake":"open","dispatch":"running","version":"dev","boot":"b1","started":"2026-11-29T11:00:00Z","uptime":"1h0m0.5s","revision":1234,"overrides":2,"analyzers":{"total":3,"healthy":2},
	"ledger":{"accepted":{"packets":100,"messages":5000},"delivered":{"packets":90,"messages":4500},"queued":{"packets":7,"messages":350},"in_flight":{"packets":2,"messages":100},"dead_lettered":{"packets":1,"messages":50},"damaged":{"packets":0,"messages":0},"unaccounted_messages":0},
	"dead_letters":{"write_errors":0,"files_removed":0},"rates":{"accepted_messages_per_s":25000,"delivered_messages_per_s":24000.4,"refused_packets_per_s":0},"last_reload":{"time":"2026-11-29T11:30:00Z","successful":false,"detail":"x.yaml:3: RATE_LIMIT"}}`

const clusterJSON = `{"answered_by":"a:8080","connected":false,"detail":"no NATS","stored":{"envelopes":3,"bytes":400,"limit_bytes":5000},"distributors":[
	{"name":"a:8080","address":"http://a:8080","answers":true,"age":"0s","version":"1.1","started":"2026-11-29T11:00:00Z","state":"normal","reason":"all is well","ready":true,"intake":"open","dispatch":"running","revision":12,"synchronized":true,"analyzers":{"total":1,"healthy":1},
	"ledger":{"accepted":{"packets":100,"messages":5000},"delivered":{"packets":90,"messages":4500},"queued":{"packets":7,"messages":350},"in_flight":{"packets":2,"messages":100},"dead_lettered":{"packets":1,"messages":50},"damaged":{"packets":0,"messages":0},"unaccounted_messages":0},"rates":{"accepted_messages_per_s":25000,"delivered_messages_per_s":24000,"refused_packets_per_s":0}},
	{"name":"b:8080","address":"http://b:8080","answers":false,"age":"1s","version":"1.0","started":"2026-11-29T11:00:00Z","state":"panic","reason":"none","ready":false,"intake":"open","dispatch":"running","revision":11,"synchronized":false,"analyzers":{"total":1,"healthy":0},
	"ledger":{"accepted":{"packets":7,"messages":7},"delivered":{"packets":8,"messages":8},"queued":{"packets":0,"messages":0},"in_flight":{"packets":0,"messages":0},"dead_lettered":{"packets":0,"messages":0},"damaged":{"packets":0,"messages":0},"unaccounted_messages":0},"rates":{"accepted_messages_per_s":5,"delivered_messages_per_s":6,"refused_packets_per_s":0}}],
	"sum":{"distributors":2,"ready":1,"ledger":{"accepted":{"packets":107,"messages":5007},"delivered":{"packets":98,"messages":4508},"queued":{"packets":7,"messages":350},"in_flight":{"packets":2,"messages":100},"dead_lettered":{"packets":1,"messages":50},"damaged":{"packets":0,"messages":0},"unaccounted_messages":0},"rates":{"accepted_messages_per_s":25005,"delivered_messages_per_s":24006,"refused_packets_per_s":0}}}`

const scaleJSON = `{"desired":5,"current":3,"reason":"1200 messages/s arrive","group":"a","healthy":2,"needed":6,"arriving_messages_per_s":1200,"backlog_messages":6000,"pace":350,"utilization":0.8,"drain_sec":60,"min":1,"max":10}`

// The first line of a state says what an operator has paused.
func TestPaused(t *testing.T) {
	paused := strings.NewReplacer(`"ready":true`, `"ready":false`, `"intake":"open"`, `"intake":"paused"`, `"dispatch":"running"`, `"dispatch":"paused"`)
	server := admintest.New(t)
	server.Answer("GET /v1/status", 200, paused.Replace(statusJSON))
	out, _, err := invoke(t, server, "", "status")
	line, _, _ := strings.Cut(out, "\n")
	if want := `degraded, not ready, intake paused, dispatch paused: a2 is \x1b[31mdown`; err != nil || line != want {
		t.Errorf("%v: %s\nwant %s", err, line, want)
	}
}

// reads are commands that read, each with its request, a response and what it prints.
var reads = []struct{ line, request, response, want string }{
	{"status", "GET /v1/status", statusJSON, `degraded, ready: a2 is \x1b[31mdown
               PACKETS  MESSAGES
accepted           100      5000
delivered           90      4500
queued               7       350
in flight            2       100
dead-lettered        1        50
damaged              0         0
unaccounted                    0
Messages/s: 25000 accepted, 24000 delivered. Packets/s: 0 refused.
Analyzers: 2 of 3 healthy. Intake open, dispatch running.
Revision 1234, 2 overrides. Version dev, up 1h0m1s since 2026-11-29T11:00:00Z.
The last reload failed at 2026-11-29T11:30:00Z: x.yaml:3: RATE_LIMIT
`},
	{"cluster", "GET /v1/cluster", clusterJSON, `DISTRIBUTOR  ADDRESS        VERSION  STATE                                        REVISION   IN/S  OUT/S  ACCEPTED  DELIVERED  HELD
a:8080 *     http://a:8080  1.1      normal                                             12  25000  24000       100         90     9
b:8080       http://b:8080  1.0      panic, not ready, settings not synchronized        11      5      6         7          8     0
sum                                  1 of 2 ready                                           25005  24006       107         98     9
Packets since each start; rates in messages. Unaccounted messages: 0.
The streams hold 3 envelopes, 400 of 5000 bytes.
Others may have come or gone unnoticed: no NATS
`},
	{"analyzers", "GET /v1/analyzers", analyzersJSON, `ANALYZER  WEIGHT  TARGET   SHARE  OFF BY  QUEUE  IN FLIGHT  MSG/S    P99  STATE                HEALTH
a1           0.5  50.0 %  50.0 %      +3      7          2  12500  4.1ms  ready                healthy
a2           0.3  30.0 %   0.0 %       0      0          0      0      -  drain, breaker_open  down: dial: refused\x1b
Revision 1234. The limit of OFF BY is 66.7 messages.
`},
	{"analyzers a2", "GET /v1/analyzers/a2", analyzersJSON[strings.Index(analyzersJSON, `{"id":"a2"`) : len(analyzersJSON)-2], `ANALYZER   a2
url        http://h:9002
weight     0.3
state      drain, breaker_open
health     down
breaker    open
opened by  dial: refused\x1b
out until  2026-11-29T12:00:00Z
share      0.0 % of 30.0 % by weight, ramp 25.0 %
off by     0 messages
queue      0 of 10000 packets
in flight  0 packets
delivers   0 messages/s, p99 -
a2: drained at 2026-11-29T11:00:20Z.
Of 41 packets (2070 messages) that it held: 38 delivered, 3 rerouted, 0 dead-lettered, 0 remaining; 0 unaccounted.
0 routed to it since, 3 possible duplicates.
`},
	{"drains", "GET /v1/drains", `{"drains":[` + draining + `]}`, "a2: drain since 2026-11-29T11:00:00Z, 5 packets (200 messages) left, deadline 2026-11-29T11:01:00Z.\n"},
	{"drains", "GET /v1/drains", `{"drains":[]}`, "There was no drain.\n"},
	{"scale", "GET /v1/scale", `{"desired":6,"current":4,"reason":"the sum of the groups (a: 5, b\u001b: 1)","healthy":3,"needed":6,"arriving_messages_per_s":1200.4,"backlog_messages":6000,"pace":null,"utilization":0.8,"drain_sec":60,"min":2,"max":20,"groups":[` + scaleJSON + `,
		{"desired":1,"current":1,"reason":"the pace is not known","group":"b\u001b","healthy":1,"needed":0,"arriving_messages_per_s":0.4,"backlog_messages":0,"pace":null,"utilization":0.8,"drain_sec":60,"min":1,"max":10}]}`,
		`GROUP  DESIRED  CURRENT  HEALTHY  NEEDED  MIN  MAX  IN/S  BACKLOG  PACE
a            5        3        2       6    1   10  1200     6000   350
b\x1b        1        1        1       0    1   10     0        0     -
a: 1200 messages/s arrive
b\x1b: the pace is not known
Desired together: 6, current: 4: the sum of the groups (a: 5, b\x1b: 1)
`},
	{"scale a", "GET /v1/scale?group=a", scaleJSON, `GROUP  DESIRED  CURRENT  HEALTHY  NEEDED  MIN  MAX  IN/S  BACKLOG  PACE
a            5        3        2       6    1   10  1200     6000   350
a: 1200 messages/s arrive
`},
	{"scale", "GET /v1/scale", `{"desired":0,"current":0,"reason":"no analyzer is in state ready","healthy":0,"needed":0,"arriving_messages_per_s":0,"backlog_messages":0,"pace":null,"utilization":0,"drain_sec":0,"min":0,"max":0}`, "Desired together: 0, current: 0: no analyzer is in state ready\n"},
	{"backlog -limit 5", "GET /v1/backlog?top=5", `{"total":{"packets":9,"messages":450},"oldest_age":"1.5s","drain_estimate":null,"by_place":[{"place":"queue","analyzer":"a2","packets":9,"messages":450,"bytes":4096}],"by_emitter":[{"emitter":"web\u0007","packets":9,"messages":450,"error_messages":0}],"senders":[]}`,
		`9 packets (450 messages), the oldest for 1.5s; time to deliver them: unknown, as nothing is delivered.
PLACE  ANALYZER  PACKETS  MESSAGES  BYTES
queue  a2              9       450   4096
EMITTER  PACKETS  MESSAGES  MAX ERROR
web\a          9       450          0
`},
	{"events -limit 2", "GET /v1/events?limit=2", `{"events":[],"last":0}`, "There are no events.\n"},
	{"events -limit 1", "GET /v1/events?limit=1", `{"events":[{"id":5,"time":"2026-11-29T11:00:00Z","kind":"denied","address":"127.0.0.1","path":"reload","result":"forbidden","reason":"r"}],"last":5}`,
		"5 2026-11-29T11:00:00Z denied reload from 127.0.0.1; forbidden; r\n"},
	{"settings get", "GET /v1/settings", `{"revision":1,"settings":{"shed":{"value":"","origin":"default","overridden":false},"rate_limit":{"value":100,"origin":"override","overridden":true,"expires":"2026-11-29T12:00:00Z"}}}`,
		"SETTING     VALUE  FROM      EXPIRES\nrate_limit  100    override  2026-11-29T12:00:00Z\nshed               default   -\n"},
	{"limits get web-1", "GET /v1/limits?emitter=web-1", `{"revision":1,"default":{"rate":0,"burst":0},"limits":[{"emitter":"web-1","rate":100.5,"burst":200,"overridden":true}]}`,
		"EMITTER   MESSAGES/S  BURST  EXPIRES\nweb-1          100.5    200  -\n(others)    no limit      -  -\n"},
	{"limits get", "GET /v1/limits", `{"revision":1,"default":{"rate":20,"burst":0},"limits":[{"emitter":"web-1","rate":100,"burst":0,"overridden":true}]}`,
		"EMITTER   MESSAGES/S  BURST  EXPIRES\nweb-1            100    100  -\n(others)          20     20  -\n"},
	{"overrides", "GET /v1/overrides", `{"revision":1,"overrides":[{"path":"analyzers/a2/weight","value":0.1,"base":0.3,"actor":"ops","time":"2026-11-29T11:00:00Z"}]}`,
		"OVERRIDE             VALUE  INSTEAD OF  BY   SINCE                 EXPIRES  REASON\nanalyzers/a2/weight  0.1    0.3         ops  2026-11-29T11:00:00Z  -        -\n"},
	{"overrides", "GET /v1/overrides", `{"revision":1,"overrides":[]}`, "Nothing differs from file, environment and flags.\n"},
	{"explain analyzer a2", "GET /v1/explain?analyzer=a2", `{"analyzer":"a2","share":0.075,"weight":0.3,"ramp":0.25,"member":true,"sentence":"a2 gets 7.5 %."}`, "a2 gets 7.5 %.\n"},
	{"explain packet web-1 42", "GET /v1/explain?emitter=web-1&packet=42", `{"seq":1,"time":"2026-11-29T11:00:00Z","cause":"first","messages":40,"chosen":"a2","runner_up":"a1","margin":3.2,"bound":66.7,"waited_us":180,"candidates":[{"id":"a1","deficit":12.1,"share":0.5,"ramp":1,"room":118},{"id":"a3","out":"breaker_open","until":"2026-11-29T11:01:00Z"}],"outcome":{"state":"delivered","attempts":1,"latency_ms":4.1},"decisions":[{"seq":1,"time":"2026-11-29T11:00:00Z","cause":"first","messages":40,"chosen":"a2","runner_up":"a1","margin":3.2,"bound":66.7,"waited_us":180,"candidates":[{"id":"a1","deficit":12.1,"share":0.5,"ramp":1,"room":118},{"id":"a3","out":"breaker_open","until":"2026-11-29T11:01:00Z"}],"outcome":{"state":"delivered","attempts":1,"latency_ms":4.1}}]}`,
		`2026-11-29T11:00:00Z: 40 messages to a2 (first) by a margin of 3.2 messages over a1, after 180µs.
CANDIDATE  DEFICIT   SHARE     RAMP  ROOM  OUT
a1            12.1  50.0 %  100.0 %   118  -
a3               -       -        -     -  breaker_open until 2026-11-29T11:01:00Z
Outcome: delivered, 1 attempts, 4.1 ms.
`},
	{"explain packet web-1 43", "GET /v1/explain?emitter=web-1&packet=43", `{"seq":2,"time":"2026-11-29T11:00:00Z","cause":"first","messages":40,"chosen":"a2","bound":66.7,"waited_us":180,"candidates":[{"id":"a3","out":"drain"}],"decisions":[{"seq":2,"time":"2026-11-29T11:00:00Z","cause":"first","messages":40,"chosen":"a2","bound":66.7,"waited_us":180,"candidates":[{"id":"a3","out":"drain"}]}]}`,
		`2026-11-29T11:00:00Z: 40 messages to a2 (first) as the only eligible analyzer, after 180µs.
CANDIDATE  DEFICIT  SHARE  RAMP  ROOM  OUT
a3               -      -     -     -  drain
`},
	{"explain next -messages 50 -n 2", "GET /v1/explain?messages=50&n=2", `{"next":[{"messages":50,"chosen":"a1","runner_up":"a2","margin":3,"candidates":[]},{"messages":50,"chosen":"a2","candidates":[]}]}`,
		"PACKET  MESSAGES  ANALYZER  RUNNER-UP  MARGIN\n     1        50  a1        a2            3.0\n     2        50  a2        -             0.0\n"},
	{"dead-letters replays", "GET /v1/dead-letters/replays", `{"replays":[]}`, "There was no replay.\n"},
}

func TestReads(t *testing.T) {
	for _, c := range reads {
		server := admintest.New(t)
		path, _, _ := strings.Cut(c.request, "?")
		server.Answer(path, 200, c.response)
		out, errs, err := invoke(t, server, "", strings.Fields(c.line)...)
		if got := server.Requests(true); err != nil || out != c.want || errs != "" || len(got) != 1 || got[0].Line != c.request {
			t.Errorf("%s: %v, %+v\n%s%s", c.line, err, got, out, errs)
		}
		out, _, err = invoke(t, server, "", append(strings.Fields(c.line), "-json")...)
		if err != nil || !strings.HasPrefix(out, "{\n  \"") || strings.ContainsAny(out, "\x1b\a") {
			t.Errorf("%s -json: %v\n%s", c.line, err, out)
		}
	}
}

// JSON of a server that does not escape as Go does is safe to show, too.
func TestJSONIsEscaped(t *testing.T) {
	server := admintest.New(t)
	server.Answer("GET /v1/explain", 200, "{\"analyzer\":\"a\",\"share\":0.5,\"weight\":0.5,\"ramp\":1,\"member\":true,\"sentence\":\"\u009b2J\u202e\"}")
	out, _, err := invoke(t, server, "", "explain", "analyzer", "a", "-json")
	if err != nil || !strings.Contains(out, `"sentence": "\u009b2J\u202e"`) {
		t.Errorf("%v %q", err, out)
	}
}

func TestDocuments(t *testing.T) {
	server := admintest.New(t)
	server.AnswerText("GET /v1/config", "application/yaml", "# \x1b[2J\nrate_limit: 100\n")
	if out, _, err := invoke(t, server, "", "config"); err != nil || out != "# \\x1b[2J\nrate_limit: 100\n" {
		t.Errorf("%v %q", err, out)
	}
}
