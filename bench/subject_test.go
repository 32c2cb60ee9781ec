//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/test/ports"
)

func testSubjectConfig(t *testing.T) subjectConfig {
	t.Helper()
	free, err := ports.Free(1)
	if err != nil {
		t.Fatal(err)
	}
	return subjectConfig{port: free[0], analyzers: []int{9001, 9002, 9003, 9004}, connections: 64, dir: t.TempDir(), distributor: "logstreamer"}
}

// Peers validate their configurations.
func TestPeersUnderstandTheirConfiguration(t *testing.T) {
	subjects := []subject{haproxy(), nginx(), floor(), collector(shaped(5, 1))}
	for _, c := range inputCases() {
		for _, s := range c.experiments[0].subjects {
			if !s.ours && s.Name != vlagentName { // which has no file, and no check of its flags
				subjects = append(subjects, s)
			}
		}
	}
	for _, s := range subjects {
		p := testSubjectConfig(t)
		if s.traffic != nil && s.traffic.Records != nil {
			p.input, p.inputPort, p.scheme = s.traffic.Records.input, p.port, s.traffic.Records.scheme
		}
		command, err := s.command(p)
		if missing := (unavailable{}); errors.As(err, &missing) {
			t.Log(missing.reason)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		check := "-t"
		switch s.Name {
		case haproxyName:
			check = "-c"
		case collectorName:
			check = "validate"
		case rsyslogName:
			check = "-N1"
		case syslogNGName:
			check = "--syntax-only"
		}
		command.Args = slices.Insert(command.Args, 1, check)
		output, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("%s, input %q: %v: %s", s.Name, p.input, err, output)
		}
	}
}

func TestAnalyzersGetTheSameShares(t *testing.T) {
	p := testSubjectConfig(t)
	command, err := ours().command(p)
	if err != nil {
		t.Fatal(err)
	}
	const want = "ANALYZERS=http://127.0.0.1:9001=0.375,http://127.0.0.1:9002=0.225,http://127.0.0.1:9003=0.15,http://127.0.0.1:9004=0.375"
	if !strings.Contains(strings.Join(command.Env, "\n")+"\n", want+"\n") {
		t.Errorf("%s is not in the environment", want)
	}
	for file, lines := range map[string][]string{
		"haproxy.cfg": {"server analyzer-1 127.0.0.1:9001 weight 50", "server analyzer-2 127.0.0.1:9002 weight 30", "server analyzer-3 127.0.0.1:9003 weight 20", "server analyzer-4 127.0.0.1:9004 weight 50"},
		"nginx.conf":  {"server 127.0.0.1:9001 weight=5;", "server 127.0.0.1:9002 weight=3;", "server 127.0.0.1:9003 weight=2;", "server 127.0.0.1:9004 weight=5;"},
	} {
		text, err := configuration(p, file, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines {
			if !strings.Contains(string(text), line+"\n") {
				t.Errorf("%s has no line %q:\n%s", file, line, text)
			}
		}
	}
}

// A distributor that ignores JOURNAL=disk must be detected.
func TestDiskJournalIsVerified(t *testing.T) {
	p := testSubjectConfig(t)
	var missing unavailable
	if err := wroteJournal(p); !errors.As(err, &missing) {
		t.Errorf("without a directory: %v", err)
	}
	dir := filepath.Join(p.dir, "data", "journal")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := wroteJournal(p); !errors.As(err, &missing) {
		t.Errorf("with an empty directory: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "segment"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := wroteJournal(p); err != nil {
		t.Errorf("with a journal: %v", err)
	}
}

func TestCaseNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range cases() {
		if seen[c.name] || c.title == "" || len(c.checks) == 0 {
			t.Errorf("case %q is there twice, or lacks its title or verdict", c.name)
		}
		seen[c.name] = true
	}
}
