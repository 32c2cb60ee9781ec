package main

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/logstreamer/logstreamer/internal/config"
)

const (
	exampleFile = "../../examples/logstreamer.yaml"
	schemaFile  = "../../examples/logstreamer.schema.json"
)

// commented matches a setting that is commented out; prose has a space after
// its #.
var commented = regexp.MustCompile(`(?m)^#([a-z_]+: )`)

// origin matches the last column of check.
var origin = regexp.MustCompile(`(?m) +(default|[^ ]*\.yaml:[0-9]+)$`)

// The example is valid as it is; with every line uncommented it equals the
// defaults of every setting.
func TestExampleMatchesDefaults(t *testing.T) {
	content, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	code, defaults, stderr := invoke(t, "check", "-config", exampleFile)
	if code != exitOK || stderr != "" {
		t.Fatalf("as it is: %d %s", code, stderr)
	}
	full := filepath.Join(t.TempDir(), "full.yaml")
	uncommented := commented.ReplaceAll(content, []byte("$1"))
	if err := os.WriteFile(full, uncommented, 0o600); err != nil {
		t.Fatal(err)
	}
	code, shown, stderr := invoke(t, "check", "-config", full)
	if code != exitOK || stderr != "" {
		t.Fatalf("uncommented: %d %s", code, stderr)
	}
	if a, b := origin.ReplaceAllString(shown, ""), origin.ReplaceAllString(defaults, ""); a != b {
		t.Errorf("uncommented it resolves to\n%s, the defaults are\n%s", a, b)
	}
	settings := distributorSettings()
	for _, s := range settings {
		if !regexp.MustCompile(`(?m)^#?` + s.Key + `:`).Match(content) {
			t.Errorf("%s is missing", s.Key)
		}
		if !regexp.MustCompile(`(?m)^` + s.Env + ` .*full\.yaml:[0-9]+$`).MatchString(shown) {
			t.Errorf("%s is not from the file", s.Key)
		}
	}
	for line := range strings.Lines(string(content)) {
		if len(line) > 91 {
			t.Errorf("a long line: %s", line)
		}
	}
}

func distributorSettings() []config.Setting {
	return newDistributorLoader(process{names: make(map[string]bool)}).Settings
}

// The committed JSON Schema is the one that check prints. It accepts the example, as it is
// and with every line uncommented, and rejects what the command rejects.
func TestJSONSchema(t *testing.T) {
	code, printed, stderr := invoke(t, "check", "-schema")
	if code != exitOK || stderr != "" {
		t.Fatalf("%d %s", code, stderr)
	}
	if committed, err := os.ReadFile(schemaFile); err != nil || string(committed) != printed {
		t.Errorf("%s, %v; make it with: go run ./cmd/logstreamer check -schema > examples/logstreamer.schema.json", schemaFile, err)
	}
	schema := compileSchema(t)
	content, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, valid := range []string{
		string(content), string(commented.ReplaceAll(content, []byte("$1"))), "analyzers: http://a=1", "analyzers: [http://a=1, {url: http://b, weight: 2}]",
		"{memory_limit_bytes: 1.5 GB, max_body_bytes: 1000, shed: DEBUG@80%, rate_limit: 0.5}",
	} {
		if err := validateYAML(t, schema, valid); err != nil {
			t.Errorf("%s: %v", valid, err)
		}
		checkFile(t, valid, exitOK)
	}
	for _, invalid := range []string{
		"prot: 1", "port: 70000", "port: many", "sender_concurrency: 0", "sender_concurrency: 1025", "sender_timeout_ms: 0", "rate_limit: -1", "journal: tape",
		"memory_limit_bytes: 256M", "max_body_bytes: 1073741825", "analyzers: [{url: http://a}]", "analyzers: [{weight: 1}]", "analyzers: [{url: http://a, weight: 0}]",
		"analyzers: [{url: http://a, weight: 1, id: a b}]", "analyzers: [{url: http://a, weight: 1, name: a}]", "dedupe_window_sec: -1", "port: {number: 1}",
	} {
		if err := validateYAML(t, schema, invalid); err == nil {
			t.Errorf("%s is accepted", invalid)
		}
		checkFile(t, invalid, exitUsage)
	}
}

// compileSchema returns the committed JSON Schema.
func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// validateYAML validates a YAML document as editors do.
func validateYAML(t *testing.T, schema *jsonschema.Schema, text string) error {
	t.Helper()
	document := any(map[string]any{})
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	return schema.Validate(document)
}

// checkFile runs check with a file, and analyzers in the environment unless it has some.
func checkFile(t *testing.T, text string, want int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{}
	if !strings.Contains(text, "analyzers:") {
		environment["ANALYZERS"] = "http://a=1"
	}
	if code, _, stderr := invokeWith(t, environment, "check", "-config", path); code != want {
		t.Errorf("%s: %d %s", text, code, stderr)
	}
}

// The README's table has every setting with its default.
func TestREADMEHasEverySetting(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?s)\n## Configuration\n(.*?)\n## `).FindSubmatch(readme)
	if section == nil {
		t.Fatal("it has no section Configuration")
	}
	defaults := make(map[string]string) // as the table has them, by environment name
	for _, row := range regexp.MustCompile("(?m)^\\| (`[A-Z].*?) \\| (.*?) \\|").FindAllSubmatch(section[1], -1) {
		names, texts := strings.Split(string(row[1]), ", "), strings.Split(string(row[2]), ", ")
		for i, name := range names {
			defaults[strings.Trim(name, "`")] = texts[min(i, len(texts)-1)]
		}
	}
	set := flag.NewFlagSet("", flag.ContinueOnError)
	newDistributorLoader(process{names: make(map[string]bool)}).AddFlags(set)
	for _, s := range distributorSettings() {
		got, ok := defaults[s.Env]
		delete(defaults, s.Env)
		inWords := map[string]string{
			"ANALYZERS": "required", "LISTEN_ADDR": "all addresses", "SHED": "none", "LIMITS": "none", "ACK": "queued", "DEDUPE_WINDOW_SEC": "0", "RATE_LIMIT": "0 (none)", "RATE_BURST": "a second's worth",
			"AUTOSCALE_COMMAND": "none",
			"TLS_CERT":          "none", "TLS_KEY": "none", "TLS_CLIENT_CA": "none", "INGEST_TOKENS_FILE": "none", "FORWARD_SHARED_KEY": "none",
			"ANALYZER_CA": "the system's", "DISCOVERY_DNS": "the system's", "ANALYZER_CERT": "none", "ANALYZER_KEY": "none", "ANALYZER_SERVER_NAME": "the URL's host",
			"NATS_URL": "none", "NATS_CREDS": "none", "NATS_CA": "the system's", "NATS_CERT": "none", "NATS_KEY": "none", "NATS_MONITOR_URL": "port 8222 of `NATS_URL`",
			"ADMIN_TOKEN": "none", "ADMIN_TOKENS_FILE": "none", "ADMIN_HOSTS": "none", "ADMIN_TLS_CERT": "none", "ADMIN_TLS_KEY": "none", "ADMIN_TLS_CLIENT_CA": "none",
		}
		if want := cmp.Or(inWords[s.Env], set.Lookup(s.Flag).DefValue); !ok || got != want {
			t.Errorf("the default of %s is %q in the table, want %q", s.Env, got, want)
		}
	}
	if len(defaults) > 0 {
		t.Errorf("no settings: %v", defaults)
	}
}

// The README names the settings whose changes need a restart.
func TestREADMENamesSettingsThatNeedARestart(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	sentence := regexp.MustCompile("but these, which need a restart: (.*)\\.\n").FindSubmatch(readme)
	if sentence == nil {
		t.Fatal("it has no such sentence")
	}
	named := strings.Split(strings.ReplaceAll(string(sentence[1]), "`", ""), ", ")
	for _, s := range distributorSettings() {
		isNamed := slices.ContainsFunc(named, func(name string) bool {
			prefix, isPrefix := strings.CutSuffix(name, "…")
			return s.Env == name || isPrefix && strings.HasPrefix(s.Env, prefix)
		})
		if isNamed == s.Live {
			t.Errorf("%s is named: %t, can change without a restart: %t", s.Env, isNamed, s.Live)
		}
	}
}

// The example's tests pass, and editors accept the file.
func TestExampleTests(t *testing.T) {
	const file = "../../examples/tests.yaml"
	code, stdout, stderr := invoke(t, "simulate", "-config", file)
	if code != exitOK || strings.Count(stdout, "ok    ") != 5 {
		t.Errorf("%d\n%s%s", code, stdout, stderr)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := validateYAML(t, compileSchema(t), string(content)); err != nil {
		t.Error(err)
	}
}
