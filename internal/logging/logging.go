// Package logging makes loggers whose level and format can change while they are in use, from any
// goroutine.
package logging

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
)

// Config holds the user settings; the tags are those of package config.
type Config struct {
	Level  string `env:"LOG_LEVEL" enum:"debug,info,warn,error" reload:"live" help:"minimum level of the log on standard error: debug, info, warn or error"`
	Format string `env:"LOG_FORMAT" enum:"text,json" reload:"live" help:"text or json"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Level: "info", Format: "text"} }

// Handler writes records in one of two formats. It may be used concurrently.
type Handler struct {
	text, json slog.Handler
	shared     *shared
}

// shared is what the handlers of one log have in common.
type shared struct {
	level  slog.LevelVar
	asJSON atomic.Bool
}

// New returns a handler that writes to w.
func New(w io.Writer, config Config) *Handler {
	s := new(shared)
	options := &slog.HandlerOptions{Level: &s.level}
	h := &Handler{text: slog.NewTextHandler(w, options), json: slog.NewJSONHandler(w, options), shared: s}
	h.Configure(config)
	return h
}

// Configure changes level and format of the handler and of all that were derived from it.
// The configuration must be valid.
func (h *Handler) Configure(config Config) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(config.Level)) // one of the enum
	h.shared.level.Set(level)
	h.shared.asJSON.Store(config.Format == "json")
}

func (h *Handler) current() slog.Handler {
	if h.shared.asJSON.Load() {
		return h.json
	}
	return h.text
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.shared.level.Level()
}

// Handle implements slog.Handler.
func (h *Handler) Handle(ctx context.Context, record slog.Record) error {
	return h.current().Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{text: h.text.WithAttrs(attrs), json: h.json.WithAttrs(attrs), shared: h.shared}
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{text: h.text.WithGroup(name), json: h.json.WithGroup(name), shared: h.shared}
}
