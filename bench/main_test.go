//go:build linux

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOptionsAreRefusedByName(t *testing.T) {
	for _, arguments := range [][]string{
		{"-rounds", "0"}, {"-round", "1ms"}, {"-case", "("}, {"-case", "nothing-like-it"}, {"further"}, {"-unknown"}, {"-profile", "p", "-before", "b"},
	} {
		var output bytes.Buffer
		if _, err := parseOptions(arguments, &output); err == nil {
			t.Errorf("parseOptions(%q) gave no error", arguments)
		}
	}
	o, err := parseOptions([]string{"-rounds", "7", "-case", "^single$"}, &bytes.Buffer{})
	if err != nil || o.rounds != 7 || !o.only.MatchString("single") || o.only.MatchString("single-lines") {
		t.Errorf("parseOptions gave %+v, %v", o, err)
	}
}

// A profile is of the distributor alone.
func TestProfiled(t *testing.T) {
	dir := t.TempDir()
	for _, c := range cases() {
		c = distributorsOnly(c, func(s subject) []subject { return []subject{profiled(s, dir)} })
		for _, e := range c.experiments {
			for _, s := range e.subjects {
				command, err := s.command(subjectConfig{distributor: "/bin/this", dir: dir, port: 1})
				if err != nil {
					t.Fatal(err)
				}
				if last := command.Env[len(command.Env)-1]; !s.ours || !strings.HasPrefix(last, "PROFILE_FILE="+dir) {
					t.Errorf("%s: %q has %s", c.name, s.Name, last)
				}
			}
		}
	}
	if err := mergeProfiles(t.TempDir(), filepath.Join(dir, "merged")); err == nil {
		t.Error("no profiles were merged without an error")
	}
}

// Against a baseline every subject is the distributor, in both builds.
func TestAgainstBaseline(t *testing.T) {
	for _, c := range cases() {
		c = againstBaseline(c, "/bin/other")
		for _, e := range c.experiments {
			for i, s := range e.subjects {
				command, err := s.command(subjectConfig{distributor: "/bin/this", dir: t.TempDir(), port: 1})
				if err != nil {
					t.Fatal(err)
				}
				want := []string{"/bin/this", "/bin/other"}[i%2]
				if !s.ours || command.Path != want || i%2 == 1 && s.Name != e.subjects[i-1].Name+", before" {
					t.Errorf("%s: subject %d is %q, %s", c.name, i, s.Name, command.Path)
				}
			}
		}
		if len(c.experiments) == 0 || len(c.checks) > 0 {
			t.Errorf("%s: %d experiments, %d judges", c.name, len(c.experiments), len(c.checks))
		}
	}
}
