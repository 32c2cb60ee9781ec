//go:build linux

package main

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine describes where the figures were measured.
type Machine struct {
	Processor string            `json:"processor"`
	Cores     int               `json:"cores"`
	Kernel    string            `json:"kernel"`
	Versions  map[string]string `json:"versions"`
}

func thisMachine(cores int) Machine {
	m := Machine{Processor: "unknown", Cores: cores, Versions: map[string]string{"go": runtime.Version()}}
	if content, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.Processor = processorModel(string(content))
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	for _, program := range []string{"haproxy", "nginx", "otelcol", "vlagent", "rsyslogd", "syslog-ng"} {
		if version, ok := versionOf(program); ok {
			m.Versions[program] = version
		}
	}
	return m
}

func processorModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// firstNumber returns the first word, or part of one, that looks like a
// version: a digit, and a dot behind it.
func firstNumber(text string) string {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" /()\n", r) }) {
		if word[0] >= '0' && word[0] <= '9' && strings.Contains(word, ".") {
			return word
		}
	}
	return "unknown"
}
