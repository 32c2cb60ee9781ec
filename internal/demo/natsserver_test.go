package demo

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Without a NATS server the demo of a cluster says how to get one.
func TestFindNATS(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("GOBIN", t.TempDir())
	if _, err := findNATS(filepath.Join(t.TempDir(), "missing")); err == nil || !strings.Contains(err.Error(), installNATS) {
		t.Errorf("a file that is missing: %v", err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("a program of the test is a shell script")
	}
	for says, want := range map[string]string{
		"nats-server: v2.15.2": "", "nats-server: v2.15.0-beta": "", "nats-server: v3.0.0": "",
		"nats-server: v2.9.10": "must be 2.15 or later", "nats-server: v1.16.0": "must be 2.15 or later", "something else": "must be 2.15 or later",
		"ls 9.1\nCopyright": "--version prints \"ls 9.1\": the program must be nats-server",
	} {
		file := filepath.Join(t.TempDir(), "nats-server")
		if err := os.WriteFile(file, []byte("#!/bin/sh\necho '"+says+"'\n"), 0o700); err != nil { //nolint:gosec // it is a program
			t.Fatal(err)
		}
		found, err := findNATS(file)
		if want == "" && (err != nil || found != file) || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), installNATS)) {
			t.Errorf("%s: %s, %v", says, found, err)
		}
		t.Setenv("GOBIN", filepath.Dir(file))
		if found, err := findNATS(""); (err == nil) != (want == "") || err == nil && found != file {
			t.Errorf("%s in GOBIN: %s, %v", says, found, err)
		}
	}
}
