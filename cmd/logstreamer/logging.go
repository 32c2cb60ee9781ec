package main

import (
	"io"
	"log/slog"
)

// logging are the settings of a command's log.
type logging struct {
	level, format string
	given         func() bool // whether the level was
}

// newLogging declares them; level is the default.
func newLogging(s *settings, level string) *logging {
	l := &logging{level, "text", func() bool { return s.given["log-level"] }}
	s.add(oneOf{&l.level, []string{"debug", "info", "warn", "error"}}, "log-level", "LOG_LEVEL", "least level that is logged, to standard error: debug, info, warn or error")
	s.add(oneOf{&l.format, []string{"text", "json"}}, "log-format", "LOG_FORMAT", "text or json")
	return l
}

func (l *logging) logger(w io.Writer) *slog.Logger { return l.from(w, l.level) }

// notices is the log of what concerns the command itself. Its warnings show also
// where those of its parts do not by default, as in the demo.
func (l *logging) notices(w io.Writer) *slog.Logger {
	if l.level == "error" && !l.given() {
		return l.from(w, "warn")
	}
	return l.logger(w)
}

func (l *logging) from(w io.Writer, least string) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(least)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if l.format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
