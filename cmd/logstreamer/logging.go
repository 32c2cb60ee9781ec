package main

import (
	"io"
	"log/slog"
)

// logConfig is the configuration of the log; the tags are those of package config.
type logConfig struct {
	Level  string `env:"LOG_LEVEL" enum:"debug,info,warn,error" reload:"live" help:"minimum level of the log on standard error: debug, info, warn or error"`
	Format string `env:"LOG_FORMAT" enum:"text,json" reload:"live" help:"text or json"`
}

func (c logConfig) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // one of the enum
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
