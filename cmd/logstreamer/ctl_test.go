package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/adminclient/admintest"
	"github.com/logstreamer/logstreamer/internal/ctl"
)

const analyzersOfTest = `{"revision":1,"bound_messages":1,"analyzers":[{"id":"a1","spec":{"url":"http://h:9001","weight":0.5,"state":"ready"},"status":{"share":0.5,"target_share":0.5,"deviation_messages":0,"ramp":1,"healthy":true,"health":"healthy","breaker":"closed","queue":{"packets":0,"messages":0},"queue_limit_packets":1,"in_flight":{"packets":0,"messages":0},"routed":{"packets":0,"messages":0},"pace":0,"p99":"0s"}}]}`

// Flags may stand before the command, before its arguments, among them and behind them.
func TestPlacesOfFlags(t *testing.T) {
	server := admintest.New(t)
	server.Answer("GET /v1/analyzers/a1", 200, analyzersOfTest[strings.Index(analyzersOfTest, `{"id"`):len(analyzersOfTest)-2])
	for _, line := range []string{
		"ctl -admin URL analyzers a1 -json", "ctl analyzers -admin URL -json a1", "ctl analyzers -json a1 -admin URL", "ctl analyzers -json -admin URL -- a1", "ctl analyzers -json a1 --admin=URL --",
	} {
		code, out, errs := invoke(t, strings.Fields(strings.ReplaceAll(line, "URL", server.URL))...)
		if code != exitOK || errs != "" || !strings.Contains(out, `"id": "a1"`) {
			t.Errorf("%s: %d\n%s%s", line, code, out, errs)
		}
	}
	code, out, _ := invoke(t, "ctl", "drain", "a2", "-h")
	if code != exitOK || !strings.HasPrefix(out, "Give an analyzer no new packets") || strings.Count(out, "Usage:") != 1 {
		t.Error(code, out)
	}
}

func TestCtlExitCodes(t *testing.T) {
	server := admintest.New(t)
	server.Answer("GET /v1/analyzers", 200, analyzersOfTest)
	server.Refuse("PATCH /v1/analyzers/stale", 412, "stale_revision", "the revision is 7")
	server.Refuse("PATCH /v1/analyzers/denied", 403, "forbidden", "the role read may not")
	server.Refuse("PATCH /v1/analyzers/evil", 404, "not_found", "\x1b[2J\u009b")
	at := map[string]string{"ADMIN_URL": server.URL}
	for line, want := range map[string]struct {
		code int
		errs string
	}{
		"ctl analyzers":                             {exitOK, ""},
		"ctl weight stale 1 -if-match 6":            {ctl.ExitStale, "logstreamer: the revision is 7 (stale_revision)\n"},
		"ctl weight denied 1":                       {ctl.ExitUnauthorized, "logstreamer: the role read may not (forbidden)\n"},
		"ctl weight evil 1":                         {exitFailed, `logstreamer: \x1b[2J\u009b (not_found)` + "\n"},
		"ctl weight a1":                             {exitUsage, "logstreamer: weight needs ID WEIGHT\n"},
		"ctl weight a1 1 -dry":                      {exitUsage, "logstreamer: flag provided but not defined: -dry; -h shows all flags\n"},
		"ctl weight a1 1 -ttl 99":                   {exitUsage, "logstreamer: invalid value \"99\" for flag -ttl: a duration such as 30s or 15m is needed; -h shows all flags\n"},
		"ctl backlog -limit x":                      {exitUsage, "a whole number is needed"},
		"ctl wieght a1":                             {exitUsage, "logstreamer: there is no command \"wieght\"; did you mean weight? See logstreamer ctl -h\n"},
		"ctl limits claer a1":                       {exitUsage, "logstreamer: there is no command \"claer\"; did you mean clear? See logstreamer ctl limits -h\n"},
		"ctl analyzers -admin nowhere":              {exitUsage, "logstreamer: ADMIN_URL is \"nowhere\": it must be http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:/PATH\n"},
		"ctl analyzers -timeout 0s":                 {exitUsage, "-timeout"},
		"ctl analyzers -admin 127.0.0.1:1":          {ctl.ExitUnreachable, "logstreamer: no answer from 127.0.0.1:1: "},
		"top more":                                  {exitUsage, "logstreamer: unexpected argument \"more\"\n"},
		"top -once -admin 127.0.0.1:1":              {ctl.ExitUnreachable, "logstreamer: no answer from 127.0.0.1:1: "},
		"ctl analyzers -token-file /does/not/exist": {exitUsage, "logstreamer: -token-file: open /does/not/exist"},
	} {
		code, _, errs := invokeWith(t, at, strings.Fields(line)...)
		if code != want.code || !strings.Contains(errs, want.errs) || want.errs == "" && errs != "" {
			t.Errorf("%s: %d %q, want %d %q", line, code, errs, want.code, want.errs)
		}
	}
}

// The token is the environment's or that of the file, and is never shown.
func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := admintest.New(t)
	server.Answer("GET /v1/analyzers", 200, analyzersOfTest)
	at := map[string]string{"ADMIN_URL": server.URL, "ADMIN_TOKEN": "of-the-environment"}
	for want, args := range map[string][]string{"Bearer of-the-environment": nil, "Bearer of-the-file": {"-token-file", file}} {
		code, out, errs := invokeWith(t, at, append([]string{"ctl", "analyzers"}, args...)...)
		requests := server.Requests(true)
		if got := requests[len(requests)-1].Authorization; code != exitOK || got != want {
			t.Errorf("%d %q, want %q", code, got, want)
		}
		if strings.Contains(out+errs, "of-the") {
			t.Error(out, errs)
		}
	}
	at["ADMIN_TOKEN"] = "two lines\nsecret"
	if code, out, errs := invokeWith(t, at, "ctl", "analyzers"); code != exitUsage || strings.Contains(out+errs, "secret") {
		t.Error(code, out, errs)
	}
}

func TestCompletionWords(t *testing.T) {
	server := admintest.New(t)
	server.Answer("GET /v1/analyzers", 200, strings.Replace(analyzersOfTest, `"a1"`, `"a1$(rm)"`, 1))
	server.Answer("GET /v1/analyzers", 200, analyzersOfTest)
	at := map[string]string{"ADMIN_URL": server.URL}
	for _, c := range []struct {
		words []string
		want  []string
	}{
		{[]string{"ctl", "drain", ""}, nil}, // the id would be a command of the shell
		{[]string{"ctl", "drain", ""}, []string{"a1"}},
		{[]string{"ctl", "drain", "-deadline", "60s", "a"}, []string{"a1"}},
		{[]string{"ctl", "drain", "-wait", "a"}, []string{"a1"}},
		{[]string{"ctl", "drain", "b"}, nil},
		{[]string{"ctl", "drain", "a1", ""}, nil},
		{[]string{"ctl", "breaker", "reset", ""}, []string{"a1"}},
		{[]string{"ctl", "weight", "a1", "0.5", "-dr"}, []string{"-dry-run"}},
		{[]string{"ctl", "-admin", server.URL, "dr"}, []string{"drains", "drain"}},
		{[]string{"ctl", "-admin", "127.0.0.1:1", "drain", ""}, nil},
		{[]string{"ctl", "drain", "-admin=" + server.URL, ""}, []string{"a1"}},
		{[]string{"di"}, []string{"distributor"}},
		{[]string{"journal", "v"}, []string{"verify"}},
		{[]string{"distributor", "-sender-r"}, []string{"-sender-retries"}},
		{[]string{"demo", ""}, nil},
		{[]string{"nothing", "x", ""}, nil},
	} {
		code, out, errs := invokeWith(t, at, append([]string{"completion", "words", "--"}, c.words...)...)
		if got := strings.Fields(out); code != exitOK || errs != "" || !slices.Equal(got, c.want) {
			t.Errorf("%q: %d %q %s, want %q", c.words, code, got, errs, c.want)
		}
	}
	if code, out, _ := invokeWith(t, at, "completion", "words"); code != exitOK || !strings.Contains(out, "distributor\n") {
		t.Error(code, out)
	}
	if code, _, errs := invoke(t, "completion", "csh"); code != exitUsage || !strings.Contains(errs, "bash, zsh, fish") {
		t.Error(code, errs)
	}
}
