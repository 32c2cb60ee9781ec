package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// example has a setting of each type.
type example struct {
	Port    int `env:"PORT" format:"port" help:"a port"`
	Nested  nested
	Name    string        `env:"USER_NAME" flag:"name" reload:"live"`
	Mode    string        `env:"MODE" enum:"fast,slow"`
	Timeout time.Duration `env:"TIMEOUT_MS" format:"milliseconds" min:">0" reload:"live"`
	Window  time.Duration `env:"WINDOW_SEC" format:"seconds" min:"0" max:"1h" auto:"true"`
	Wait    time.Duration `env:"WAIT" min:"0" max:"1m"`
	Weight  float64       `env:"WEIGHT" min:">0" max:"1"`
	Rate    float64       `env:"RATE" min:"0" zero:"none" reload:"live"`
	Token   token         `env:"TOKEN" secret:"true" reload:"live"`
	Hosts   hosts         `env:"HOSTS" reload:"live"`
	Verbose bool          `flag:"verbose"`
	Free    int           // a field that is no setting
}

type nested struct {
	Size int64 `env:"SIZE_BYTES" format:"bytes" min:"1 KiB" max:"1 GiB"`
}

type token string

type hosts []host

type host struct {
	Name   string  `key:"name" required:"the name is needed" pattern:"^[a-z]+$" allowed:"letters"`
	Weight float64 `key:"weight" min:">0" allowed:"a positive number"`
	Key    string  `key:"key" secret:"true"`
}

func (h *hosts) UnmarshalText(text []byte) error {
	*h = hosts{{Name: string(text)}}
	return nil
}

func (e example) Validate() error {
	if e.Port == 1 && e.Mode == "slow" {
		return fmt.Errorf("PORT is 1: it must be another with MODE=slow")
	}
	return nil
}

func defaults() example {
	return example{Port: 80, Nested: nested{4096}, Name: "me", Mode: "fast", Timeout: time.Second, Window: -1, Weight: 1, Token: "s3cret"}
}

// load returns the configuration of a file, an environment and a command line.
func load(t *testing.T, file string, environment map[string]string, args ...string) (*Loader[example], *Loaded[example], error) {
	t.Helper()
	loader := New(defaults(), func(name string) (string, bool) {
		text, ok := environment[name]
		return text, ok
	})
	if file != "" {
		loader.File = filepath.Join(t.TempDir(), "c.yaml")
		write(t, loader.File, file)
	}
	set := flag.NewFlagSet("", flag.ContinueOnError)
	loader.AddFlags(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	loaded, err := loader.Load()
	return loader, loaded, err
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Each source overrides the sources before it, and each value has its origin.
func TestOrigins(t *testing.T) {
	loader, loaded, err := load(t, "port: 1\ntimeout_ms: 1.5\nsize_bytes: 1 MiB\nrate: 2\n", map[string]string{"PORT": "2", "TIMEOUT_MS": "2.5", "MODE": "SLOW", "RATE": ""},
		"-port", "3", "-name=x", "-verbose", "-window-sec", "0.5", "-wait=30")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range loader.Settings {
		origin := loaded.Origin(s.Key).String()
		if _, line, inFile := strings.Cut(origin, "c.yaml"); inFile {
			origin = "c.yaml" + line
		}
		if (origin == "default") != (loaded.Origin(s.Key) == Origin{}) {
			t.Errorf("%s: %s", s.Key, origin)
		}
		got = append(got, s.Key+"="+loaded.Text(s)+" "+origin)
	}
	want := []string{
		"port=3 flag", "size_bytes=1048576 c.yaml:3", "user_name=x flag", "mode=slow environment", "timeout_ms=2.5 environment", "window_sec=0.5 flag", "wait=30s flag", "weight=1 default",
		"rate=2 c.yaml:4", "token=xxxxx default", "hosts=[] default", "verbose=true flag",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A configuration is loaded anew from the same sources; flags still override the file.
func TestLoadAgain(t *testing.T) {
	loader := New(defaults(), func(string) (string, bool) { return "", false })
	loader.File = filepath.Join(t.TempDir(), "c.yaml")
	set := flag.NewFlagSet("", flag.ContinueOnError)
	loader.AddFlags(set)
	if err := set.Parse([]string{"-name=flag"}); err != nil {
		t.Fatal(err)
	}
	write(t, loader.File, "user_name: one\nrate: 1\nhosts: [{name: a, weight: 1}]\n")
	before, err := loader.Load()
	if err != nil {
		t.Fatal(err)
	}
	write(t, loader.File, "user_name: two\ntimeout_ms: 5\nport: 81\nhosts: [{name: a, weight: 2, key: s3cret}, b]\n")
	after, err := loader.Load()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range Diff(before.Config, after.Config) {
		got = append(got, fmt.Sprintf("%s: %s -> %s, live %v", c.Key, c.Old, c.New, c.Live))
	}
	want := []string{
		"port: 80 -> 81, live false", "timeout_ms: 1000 -> 5, live true", "rate: 1 -> 0, live true",
		"hosts: {name: a, weight: 1, key: } -> {name: a, weight: 2, key: xxxxx}, {name: b, weight: 0, key: }, live true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, c := range []struct {
		old, updated string
		live         bool
	}{{"a", "b", true}, {"", "b", false}, {"a", "", false}} {
		type replaced struct {
			File string `env:"FILE" reload:"replace"`
		}
		if changes := Diff(replaced{c.old}, replaced{c.updated}); len(changes) != 1 || changes[0].Live != c.live {
			t.Errorf("from %q to %q: %+v", c.old, c.updated, changes)
		}
	}
	write(t, loader.File, "port: many\n")
	if _, err := loader.Load(); err == nil {
		t.Error("a bad file is loaded")
	}
}

// Load returns all errors at once, each with its source, key, value and what is allowed.
func TestErrors(t *testing.T) {
	_, _, err := load(t, "prot: 1\nport: many\nrate: -1\nsize_bytes: 1\nhosts: [{name: 1a}, {wieght: 1}, {weight: 1}, {name: a, weight: 0}, {name: [a]}]\n",
		map[string]string{"TIMEOUT_MS": "0", "MODE": "quick"}, "-wait=1h", "-window-sec=-1", "-verbose=perhaps", "-rate=x", "-weight=2")
	want := []string{
		`c.yaml:1: unknown key "prot"; did you mean port? Known are port, size_bytes, user_name, mode, timeout_ms, window_sec, wait, weight, rate, token, hosts, verbose`,
		`c.yaml:2: port: "many": a port from 0 to 65535 is needed`,
		`c.yaml:3: rate is -1: it must be 0 (none) or more`,
		`c.yaml:4: size_bytes is 1: it must be 1 KiB to 1 GiB`,
		`c.yaml:5: hosts[0].name: the name "1a" must be letters`,
		`c.yaml:5: hosts[1]: unknown key "wieght"; did you mean weight? Known are name, weight, key`,
		`c.yaml:5: hosts[2].name: the name is needed`,
		`c.yaml:5: hosts[3].weight: the weight "0" must be a positive number`,
		`c.yaml:5: hosts[4].name: a plain value is needed`,
		`the environment's MODE="quick": one of fast, slow is needed`,
		`the environment's TIMEOUT_MS is 0s: it must be more than 0`,
		`invalid value "-1" for flag -window-sec: a number of seconds, 0 to 1h, is needed`,
		`WAIT is 1h0m0s: it must be 0 to 1m`,
		`WEIGHT is 2: it must be more than 0 and at most 1`,
		`invalid value "x" for flag -rate: a number is needed`,
		`invalid value "perhaps" for flag -verbose: true or false is needed`,
	}
	if err == nil {
		t.Fatal("no error")
	}
	var got []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if strings.HasPrefix(line, string(filepath.Separator)) || strings.Contains(line, ":\\") {
			line = line[strings.Index(line, "c.yaml:"):]
		}
		got = append(got, line)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	const window = "a number of seconds, 0 to 1h, is needed"
	if _, _, err := load(t, "", nil, "-window-sec=soon"); err == nil || !strings.HasSuffix(err.Error(), window) {
		t.Errorf("%v, want %q", err, window)
	}
	if _, _, err := load(t, "", nil, "-port=1", "-mode=slow"); err == nil || !strings.HasPrefix(err.Error(), "PORT is 1") {
		t.Errorf("Validate is not asked: %v", err)
	}
}

// Load ignores an environment variable that a flag overrides; it checks the whole file.
func TestOverriddenValues(t *testing.T) {
	if _, _, err := load(t, "", map[string]string{"PORT": "many"}, "-port=1"); err != nil {
		t.Error(err)
	}
	if _, _, err := load(t, "port: many", nil, "-port=1"); err == nil {
		t.Error("a bad value in the file is accepted")
	}
}

// sealed has a secret that can be invalid.
type sealed struct {
	Code int `env:"CODE" secret:"true" min:"1000"`
}

// A secret is in no error, value, change, help or schema.
func TestSecretsAreMasked(t *testing.T) {
	var shown []string
	for _, text := range []string{"s3cret", "773"} {
		for _, source := range []string{"file", "environment", "flag"} {
			loader := New(sealed{9731}, func(string) (string, bool) { return text, source == "environment" })
			set := flag.NewFlagSet("", flag.ContinueOnError)
			loader.AddFlags(set)
			switch source {
			case "file":
				loader.File = filepath.Join(t.TempDir(), "c.yaml")
				write(t, loader.File, "code: "+text)
			case "flag":
				if err := set.Parse([]string{"-code=" + text}); err != nil {
					t.Fatal(err)
				}
			}
			_, err := loader.Load()
			if err == nil {
				t.Fatalf("%s is loaded", text)
			}
			schema, _ := loader.JSONSchema("")
			shown = append(shown, err.Error(), string(schema), set.Lookup("code").DefValue)
		}
	}
	for _, c := range Diff(sealed{9731}, sealed{7730}) {
		shown = append(shown, c.Old, c.New)
	}
	loader, loaded, err := load(t, "token: s3cret", nil)
	if err != nil || loaded.Config.Token != "s3cret" {
		t.Fatal(err)
	}
	for _, s := range loader.Settings {
		shown = append(shown, loaded.Text(s))
	}
	for _, text := range shown {
		if strings.Contains(text, "s3cret") || strings.Contains(text, "773") || strings.Contains(text, "9731") {
			t.Errorf("%q shows the secret", text)
		}
	}
	if len(shown) < 20 {
		t.Errorf("only %d texts", len(shown))
	}
}

// A syntax error names its line, and shows no line of the file, since a secret may be near.
func TestSyntaxErrorsShowNoSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"port: 1\ntoken: s3cret\nport: 2":   "line 3, column 1: ",
		"token: \"s3cret\n":                 "line 1, column 8: ",
		"token: |s3cret\nport: 1":           "line 1, column 8: ",
		"token: s3cret\nhosts: [{name: a\n": "line 2, column ",
	} {
		_, _, err := load(t, text, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v, want %s without the secret", text, err, want)
		}
	}
}

// Bounds that cannot be parsed allow no value.
func TestMalformedTags(t *testing.T) {
	type malformed struct {
		Low  int           `env:"LOW" min:"one"`
		High time.Duration `env:"HIGH" max:"nine"`
	}
	loader := New(malformed{}, func(string) (string, bool) { return "5", true })
	_, err := loader.Load()
	if err == nil || !strings.Contains(err.Error(), "LOW is 5") || !strings.Contains(err.Error(), "HIGH is 5s") {
		t.Error(err)
	}
}

// The schema has the bounds in the unit of the file.
func TestJSONSchemaOfProperties(t *testing.T) {
	text, err := New(defaults(), nil).JSONSchema("Example")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Title      string
		Properties map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"port":       `{"default":80,"description":"a port","maximum":65535,"minimum":0,"type":"integer"}`,
		"wait":       `{"default":"0s","description":"","type":"string"}`,
		"timeout_ms": `{"default":1000,"description":"","exclusiveMinimum":0,"type":"number"}`,
		"window_sec": `{"description":"","maximum":3600,"minimum":0,"type":"number"}`,
		"mode":       `{"default":"fast","description":"","enum":["fast","slow"]}`,
		"token":      `{"description":"","type":"string","writeOnly":true}`,
		"rate":       `{"default":0,"description":"","minimum":0,"type":"number"}`,
		"verbose":    `{"default":false,"description":"","type":"boolean"}`,
	} {
		var compact strings.Builder
		var value any
		_ = json.Unmarshal(schema.Properties[key], &value)
		_ = json.NewEncoder(&compact).Encode(value)
		if got := strings.TrimSpace(compact.String()); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}
