package main

import (
	"io"
	"log/slog"
)

// logging holds the log settings of a command.
type logging struct {
	level, format string
	explicit      func() bool // whether the level was set
}

// newLogging declares the log settings; level is the default.
func newLogging(s *settings, level string) *logging {
	l := &logging{level, "text", func() bool { return s.explicit["log-level"] }}
	s.add(enumValue{&l.level, []string{"debug", "info", "warn", "error"}}, "log-level", "LOG_LEVEL", "minimum level of the log on standard error: debug, info, warn or error")
	s.add(enumValue{&l.format, []string{"text", "json"}}, "log-format", "LOG_FORMAT", "text or json")
	return l
}

func (l *logging) logger(w io.Writer) *slog.Logger { return l.newLogger(w, l.level) }

// diagnostics returns the logger of the command itself. It logs warnings even
// where the default level is error, as in the demo.
func (l *logging) diagnostics(w io.Writer) *slog.Logger {
	if l.level == "error" && !l.explicit() {
		return l.newLogger(w, "warn")
	}
	return l.logger(w)
}

func (l *logging) newLogger(w io.Writer, minLevel string) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(minLevel)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if l.format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
