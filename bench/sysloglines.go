//go:build linux

package main

import (
	"bytes"
	"fmt"
)

// syslogTime is the layout of times that are sent.
const syslogTime = "2006-01-02T15:04:05.000Z"

// syslogSeverity returns the severity of a record in OTLP and in syslog, and its name.
func syslogSeverity(n int) (number uint64, severity int, name string) {
	level := recordLevel(n)
	severity = map[string]int{"DEBUG": 7, "INFO": 6, "WARN": 4, "ERROR": 3}[level]
	return otlpSeverity(level), severity, map[int]string{7: "debug", 6: "info", 4: "warning", 3: "err"}[severity]
}

// syslogPriority is that of the facility local0.
func syslogPriority(n int) int {
	_, severity, _ := syslogSeverity(n)
	return 16<<3 | severity
}

// syslogLine returns a record in the format of RFC 5424, without the line feed.
func syslogLine(n int, timeLayout string) (before, after string) {
	return fmt.Sprintf("<%d>1 %s web-1.example.com shop 4711 ID47 [origin@32473 ip=\"192.0.2.1\" user=\"7\"] ",
		syslogPriority(n), recordTime.Format(timeLayout)), recordBody(n)
}

// syslogLines returns how records arrive as lines, with times in another layout.
func syslogLines(timeLayout string) recordOutput {
	t := newRecordTexts(func(n int) (before, after string) { return syslogLine(n, timeLayout) })
	return recordOutput{arrived: func(lines []byte, l *ledger) {
		for line := range bytes.Lines(lines) {
			line = bytes.TrimSuffix(line, []byte{'\n'})
			t.take(line, bytes.Index(line, endOfStructuredData)+len(endOfStructuredData), l)
		}
	}}
}

var endOfStructuredData = []byte("] ")
