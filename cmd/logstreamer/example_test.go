package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const exampleFile = "../../examples/logstreamer.yaml"

// commented matches a setting that is commented out; prose has a space after
// its #.
var commented = regexp.MustCompile(`(?m)^#([a-z_]+: )`)

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
	if shown != defaults {
		t.Errorf("uncommented it resolves to\n%s, the defaults are\n%s", shown, defaults)
	}
	s, _, _ := distributorSettings("check", process{usage: new(bytes.Buffer), names: make(map[string]bool)})
	for _, key := range s.keys() {
		if !regexp.MustCompile(`(?m)^#?` + key + `:`).Match(content) {
			t.Errorf("%s is missing", key)
		}
	}
	entries, err := readFile(uncommented)
	if err != nil || len(entries) != len(s.keys()) {
		t.Errorf("%d entries, %v, of %d settings", len(entries), err, len(s.keys()))
	}
	for line := range strings.Lines(string(content)) {
		if len(line) > 91 {
			t.Errorf("a long line: %s", line)
		}
	}
}
