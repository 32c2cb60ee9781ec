package otlp

import "testing"

// A packet that did not come by OTLP has the severity of its level's name.
func TestSeverityOfLevel(t *testing.T) {
	for name, want := range map[string]uint64{
		"TRACE": 1, "debug": 5, "INFO": 9, "Notice": 10, " WARN\n": 13, "err": 17, "CRITICAL": 18, "FATAL": 21, "panic": 21, "emerg": 21,
		"": 9, "other": 9,
	} {
		if got := severityOf([]byte(name)); got != want {
			t.Errorf("%q has the severity %d, want %d", name, got, want)
		}
	}
}
