package main

import (
	"bytes"
	"os"
	"testing"
)

// Lines are overwritten only on a terminal that supports it.
func TestIsRewritable(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there are no pseudo terminals:", err)
	}
	defer terminal.Close() //nolint:errcheck // nothing was written
	kind := func(kind string) func(string) (string, bool) {
		return func(name string) (string, bool) { return kind, name == "TERM" && kind != "" }
	}
	for term, want := range map[string]bool{"xterm-256color": true, "": true, "dumb": false} {
		if got := (process{stdout: terminal, getenv: kind(term)}).isRewritable(); got != want {
			t.Errorf("TERM=%s: %v", term, got)
		}
	}
	if (process{stdout: new(bytes.Buffer), getenv: kind("xterm")}).isRewritable() {
		t.Error("a buffer is rewritable")
	}
}
