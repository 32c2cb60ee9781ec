package emitter

import (
	"maps"
	"strings"
	"testing"
	"time"
)

// written is the modification time of the test log; its timestamps without a
// zone are in UTC+2.
var written = time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)

func newTestParser(service string) parser {
	p := newParser(service, written)
	p.location = time.FixedZone("", 2*60*60)
	return p
}

func at(text string) int64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

type pairs = map[string]string

// parsed is a line and the expected record.
type parsed struct {
	line string
	want record
}

// unknown is the time of lines without one, and app the metadata of those without their own.
var (
	unknown = written.UnixMilli()
	app     = pairs{"service": "app"}
)

var jsonLines = map[string]parsed{
	"zap": {`{"level":"info","ts":1640995200.123,"logger":"api","msg":"listening","port":8080,"tls":true,"peer":null}`,
		record{1640995200123, "INFO", "listening", pairs{"logger": "api", "port": "8080", "tls": "true", "peer": "null"}}},
	"slog": {`{"time":"2026-01-02T03:04:05.678901234+01:00","level":"WARN","msg":"slow","request":{"id": 7, "tags": ["a", "b"]}}`,
		record{at("2026-01-02T02:04:05.678Z"), "WARN", "slow", pairs{"request": `{"id":7,"tags":["a","b"]}`}}},
	"logrus": {`{"severity":"error","message":"no \"route\"\n","@timestamp":"2026-01-02T03:04:05Z","service":"router"}`,
		record{at("2026-01-02T03:04:05Z"), "ERROR", `no "route"`, pairs{"service": "router"}}},
	"bunyan":          {`{"name":"web","level":50,"time":1640995200000,"msg":"broken"}`, record{1640995200000, "ERROR", "broken", pairs{"name": "web"}}},
	"elastic, dotted": {`{"@timestamp":"2026-01-02T03:04:05Z","log.level":"DEBUG","message":"m"}`, record{at("2026-01-02T03:04:05Z"), "DEBUG", "m", nil}},
	"elastic, nested": {`{"@timestamp":"2026-01-02T03:04:05Z","log":{"level":"warn","logger":"x"},"message":"m"}`,
		record{at("2026-01-02T03:04:05Z"), "WARN", "m", pairs{"log.logger": "x"}}},
	"docker": {`{"log":"2026 ERROR: out of memory\n","stream":"stderr","time":"2026-01-02T03:04:05.000000006Z"}`,
		record{at("2026-01-02T03:04:05Z"), "ERROR", "2026 ERROR: out of memory", pairs{"stream": "stderr"}}},
	"seconds as text":     {`{"timestamp":"1640995200","msg":"m"}`, record{1640995200000, "INFO", "m", nil}},
	"microseconds":        {`{"timestamp":1640995200000001,"msg":"m"}`, record{1640995200000, "INFO", "m", nil}},
	"nanoseconds":         {`{"timestamp":1640995200000000001,"msg":"m"}`, record{1640995200000, "INFO", "m", nil}},
	"capital names":       {`{"Timestamp":"2026-01-02 03:04:05,5","Level":"Information","Message":"m"}`, record{at("2026-01-02T01:04:05.5Z"), "INFO", "m", nil}},
	"a level of its own":  {`{"level":"audit","msg":"m"}`, record{unknown, "audit", "m", nil}},
	"a time that is none": {`{"time":12,"level":"","msg":"m"}`, record{unknown, "INFO", "m", pairs{"time": "12", "level": ""}}},
	"no message":          {`{"level":"warn","event":"x"}`, record{unknown, "WARN", `{"level":"warn","event":"x"}`, pairs{"event": "x"}}},
	"two messages":        {`{"msg":"","message":"m","text":"t"}`, record{unknown, "INFO", "m", pairs{"msg": "", "text": "t"}}},
	"not quite JSON":      {`{"level":"error","msg":"cut of`, record{unknown, "ERROR", `{"level":"error","msg":"cut of`, app}},
	"an array":            {`["ERROR"]`, record{unknown, "ERROR", `["ERROR"]`, app}},
}

var syslogLines = map[string]parsed{
	"RFC 5424": {`<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 812 ID47 [exampleSDID@32473 iut="3" eventSource="App \"x\""] ` + "\uFEFF" + `An application event`,
		record{at("2003-10-11T22:14:15.003Z"), "NOTICE", "An application event", pairs{"facility": "local4", "host": "mymachine.example.com", "service": "evntslog", "pid": "812",
			"msgid": "ID47", "exampleSDID@32473.iut": "3", "exampleSDID@32473.eventSource": `App "x"`}}},
	"RFC 5424, nil values": {`<34>1 - - su - - - 'su root' failed`, record{unknown, "CRITICAL", "'su root' failed", pairs{"facility": "auth", "service": "su"}}},
	"RFC 5424, no message": {`<14>1 2003-10-11T22:14:15Z h a - - -`, record{at("2003-10-11T22:14:15Z"), "INFO", `<14>1 2003-10-11T22:14:15Z h a - - -`, pairs{"facility": "user", "host": "h", "service": "a"}}},
	"RFC 3164": {`<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8`,
		record{at("2025-10-11T22:14:15+02:00"), "CRITICAL", "'su root' failed for lonvick on /dev/pts/8", pairs{"facility": "auth", "host": "mymachine", "service": "su"}}},
	"RFC 3164, no header": {`<13>something happened`, record{unknown, "NOTICE", "something happened", pairs{"facility": "user", "service": "app"}}},
	"no priority":         {`<999>ERROR`, record{unknown, "ERROR", "<999>ERROR", app}},
	"/var/log/syslog": {`Jan  2 15:04:05 web-1 systemd-logind[612]: New session 4 of user root.`,
		record{at("2026-01-02T15:04:05+02:00"), "INFO", "New session 4 of user root.", pairs{"host": "web-1", "service": "systemd-logind", "pid": "612"}}},
	"/var/log/syslog of last year": {`Dec 31 23:59:59 web-1 kernel: [12.3] usb 1-1: warning: reset`,
		record{at("2025-12-31T23:59:59+02:00"), "WARN", "[12.3] usb 1-1: warning: reset", pairs{"host": "web-1", "service": "kernel"}}},
	"/var/log/syslog of a leap day": {`Feb 29 12:00:00 web-1 cron[7]: run`,
		record{at("2024-02-29T12:00:00+02:00"), "INFO", "run", pairs{"host": "web-1", "service": "cron", "pid": "7"}}},
	"no leap day": {`2025-02-29 12:00:00 run`, record{at("2025-03-01T10:00:00Z"), "INFO", "run", app}},
	"/var/log/syslog with RFC 3339": {`2026-01-02T15:04:05.123456+01:00 web-1 postfix/smtpd[99]: connect from unknown[1.2.3.4]`,
		record{at("2026-01-02T14:04:05.123Z"), "INFO", "connect from unknown[1.2.3.4]", pairs{"host": "web-1", "service": "postfix/smtpd", "pid": "99"}}},
}

var textLines = map[string]parsed{
	"dpkg.log": {`2026-01-02 14:36:25 status half-configured libsystemd0:amd64 252.36-1~deb12u1`,
		record{at("2026-01-02T12:36:25Z"), "INFO", "status half-configured libsystemd0:amd64 252.36-1~deb12u1", app}},
	"alternatives.log": {`update-alternatives 2026-01-02 14:36:53: link group pager updated to point to /usr/bin/less`,
		record{at("2026-01-02T12:36:53Z"), "INFO", "update-alternatives 2026-01-02 14:36:53: link group pager updated to point to /usr/bin/less", app}},
	"apt history.log": {`Start-Date: 2026-01-02  14:36:25`, record{at("2026-01-02T12:36:25Z"), "INFO", "Start-Date: 2026-01-02  14:36:25", app}},
	"apt term.log":    {`Log started: 2026-01-02  14:36:25`, record{at("2026-01-02T12:36:25Z"), "INFO", "Log started: 2026-01-02  14:36:25", app}},
	"nginx access.log": {`10.0.0.7 - - [02/Jan/2026:15:04:05 +0000] "GET /a?b=ERROR HTTP/1.1" 404 153 "-" "curl/8"`,
		record{at("2026-01-02T15:04:05Z"), "WARN", `10.0.0.7 - - [02/Jan/2026:15:04:05 +0000] "GET /a?b=ERROR HTTP/1.1" 404 153 "-" "curl/8"`, app}},
	"access.log, failed": {`::1 - bob [02/Jan/2026:15:04:05 +0000] "POST / HTTP/1.1" 502 0`,
		record{at("2026-01-02T15:04:05Z"), "ERROR", `::1 - bob [02/Jan/2026:15:04:05 +0000] "POST / HTTP/1.1" 502 0`, app}},
	"nginx error.log": {`2026/01/02 15:04:05 [error] 12#12: *1 open() failed`,
		record{at("2026-01-02T13:04:05Z"), "ERROR", "[error] 12#12: *1 open() failed", app}},
	"apache error.log": {`[Fri Jan 02 15:04:05.123456 2026] [core:warn] [pid 9] AH00111: undefined`,
		record{at("2026-01-02T13:04:05.123Z"), "WARN", `[Fri Jan 02 15:04:05.123456 2026] [core:warn] [pid 9] AH00111: undefined`, app}},
	"postgresql": {`2026-01-02 15:04:05.123 UTC [77] FATAL:  role "x" does not exist`,
		record{at("2026-01-02T15:04:05.123Z"), "FATAL", `[77] FATAL:  role "x" does not exist`, app}},
	"log4j": {`2026-01-02 15:04:05,123 ERROR [main] com.example.App - boom`,
		record{at("2026-01-02T13:04:05.123Z"), "ERROR", "ERROR [main] com.example.App - boom", app}},
	"RFC 3339, then a level":  {`2026-01-02T15:04:05Z INFO server: started`, record{at("2026-01-02T15:04:05Z"), "INFO", "INFO server: started", app}},
	"glog":                    {`E0102 15:04:05.123456    77 server.go:12] lost`, record{at("2026-01-02T13:04:05.123Z"), "ERROR", "77 server.go:12] lost", app}},
	"Android":                 {`01-02 15:04:05.123  1234  1240 W ActivityManager: slow`, record{at("2026-01-02T13:04:05.123Z"), "WARN", "1234  1240 W ActivityManager: slow", app}},
	"a letter after the time": {`2026-01-02 15:04:05 E disk failed`, record{at("2026-01-02T13:04:05Z"), "ERROR", "E disk failed", app}},
	"logfmt": {`time=2026-01-02T15:04:05Z level=warn msg="no \"route\"" path=/a?b=c took=`,
		record{at("2026-01-02T15:04:05Z"), "WARN", `no "route"`, pairs{"path": "/a?b=c", "took": ""}}},
	"almost logfmt":        {`run level=debug now`, record{unknown, "DEBUG", "run level=debug now", app}},
	"squid":                {`1640995200.603    310 10.0.0.1 TCP_MISS/200`, record{1640995200603, "INFO", "310 10.0.0.1 TCP_MISS/200", app}},
	"brackets":             {`[Warning] disk is nearly full`, record{unknown, "WARN", "[Warning] disk is nearly full", app}},
	"before a colon":       {`error: cannot open x`, record{unknown, "ERROR", "error: cannot open x", app}},
	"a word, not a level":  {`the error was not critical, for info see error-log and ERROR_CODE`, record{unknown, "INFO", "the error was not critical, for info see error-log and ERROR_CODE", app}},
	"too far in":           {strings.Repeat("x ", 200) + "ERROR", record{unknown, "INFO", strings.Repeat("x ", 200) + "ERROR", app}},
	"no such date":         {`2026-13-41 99:99:99 what`, record{unknown, "INFO", "2026-13-41 99:99:99 what", app}},
	"only a time":          {`2026-01-02 15:04:05`, record{at("2026-01-02T13:04:05Z"), "INFO", "2026-01-02 15:04:05", app}},
	"before time began":    {`1960-01-02 15:04:05 old`, record{unknown, "INFO", "1960-01-02 15:04:05 old", app}},
	"a stack trace's line": {"\tat com.example.App.main(App.java:7)", record{unknown, "INFO", "\tat com.example.App.main(App.java:7)", app}},
}

// Each line is parsed as its own file app.log, modified at written.
func TestParse(t *testing.T) {
	for _, cases := range []map[string]parsed{jsonLines, syslogLines, textLines} {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				p := newTestParser("/var/log/app.log.1.gz")
				got := p.parse(c.line)
				if got.time != c.want.time || got.level != c.want.level || got.text != c.want.text || !maps.Equal(got.metadata, c.want.metadata) {
					t.Errorf("%s\n got %+v\nwant %+v", c.line, got, c.want)
				}
			})
		}
	}
}

func TestLineWithoutTimestampInheritsPrevious(t *testing.T) {
	p := newTestParser("app.log")
	first := p.parse("2026-01-02 15:04:05 ERROR panic")
	if second := p.parse("  at main.go:7"); second.time != first.time {
		t.Errorf("the second line's time is %d, the first one's %d", second.time, first.time)
	}
}

func TestServiceName(t *testing.T) {
	for file, want := range map[string]string{"/var/log/nginx/access.log.2.gz": "access", "dpkg.log": "dpkg", "-": "", "": ""} {
		if got := serviceName(file); got != want {
			t.Errorf("serviceName(%q) = %q, want %q", file, got, want)
		}
	}
}

// Any line becomes a packet that the distributor accepts.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		`{"level":"info","ts":1640995200.123,"msg":"m","log":{"level":1},"a":{"b":[1]}}`,
		`<165>1 2003-10-11T22:14:15.003Z host app 812 ID47 [x@1 a="b"] message`,
		`<34>Oct 11 22:14:15 mymachine su: message`,
		`Jan  2 15:04:05 web-1 app[612]: message`,
		`2026-01-02T15:04:05.123+01:00 [error] level=info msg="x\u0000"`,
		`time=1 level=x msg="a b"`,
		`E0102 15:04:05.123456    77 server.go:12] lost`,
		`::1 - bob [02/Jan/2026:15:04:05 +0000] "POST / HTTP/1.1" 502 0`,
		`{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1,"level":"x","message":"m"}]}`,
		"\xff\x00\x1f", "9999999999999999999",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		sizes, err := ParseSizes("2", 1)
		if err != nil {
			t.Fatal(err)
		}
		s := newFileSource(nil, newTestParser("app.log"), nil, newEnvelope("e", "run"), sizes)
		var p outgoing
		for range 2 {
			s.add(&p, logRecord{text: []byte(line), lines: 1})
		}
		if s.pending != nil {
			return // a line that is a packet is sent unchanged
		}
		if err := s.finish(&p, nil); err != nil {
			t.Fatal(err)
		}
		if p.lines.read != 2 || p.lines.empty+p.lines.carried != 2 || int(p.lines.carried) != p.messages {
			t.Fatalf("%+v, %d messages", p.lines, p.messages)
		}
		if p.messages > 0 {
			readBack(t, &p)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, line := range map[string]string{
		"json":   `{"level":"info","ts":1640995200.123,"logger":"api","msg":"listening","port":8080}`,
		"syslog": `Jan  2 15:04:05 web-1 systemd-logind[612]: New session 4 of user root.`,
		"text":   `2026-01-02 14:36:25 status half-configured libsystemd0:amd64 252.36-1~deb12u1`,
	} {
		b.Run(name, func(b *testing.B) {
			p := newTestParser("app.log")
			var dst []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				dst = p.parse(line).append(dst[:0])
			}
		})
	}
}
