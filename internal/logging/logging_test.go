package logging

import (
	"log/slog"
	"strings"
	"testing"
)

// A change reaches loggers that were derived before it, with their attributes.
func TestConfigure(t *testing.T) {
	var out strings.Builder
	handler := New(&out, DefaultConfig())
	logger := slog.New(handler).With("component", "test").WithGroup("g")
	logger.Debug("unseen")
	logger.Info("one", "a", 1)
	handler.Configure(Config{Level: "debug", Format: "json"})
	logger.Debug("two", "a", 2)
	handler.Configure(Config{Level: "error", Format: "text"})
	logger.Warn("unseen")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], `level=INFO msg=one component=test g.a=1`) ||
		!strings.HasSuffix(lines[1], `"level":"DEBUG","msg":"two","component":"test","g":{"a":2}}`) {
		t.Errorf("got\n%s", out.String())
	}
}
