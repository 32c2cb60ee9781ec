// Package config loads configurations. A configuration is a struct; its tagged fields are settings
// (see Setting), and fields of struct types hold further settings. Each source overrides the
// sources before it: defaults, file, environment, flags. The package keeps no state; a Loader is
// used by one goroutine.
package config

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"reflect"
)

// Loader loads configurations of type T, any number of times, always with the same flags.
type Loader[T any] struct {
	// Settings are in the order of the struct.
	Settings []Setting
	// File is the path of the YAML file; empty means none.
	File string
	// Sections are further keys of the file, whose values are not settings, with their JSON
	// Schemas.
	Sections map[string]any

	defaults T
	getenv   func(string) (string, bool)
	flags    map[string]string // texts of the given flags
}

// New returns a loader with the defaults and the environment.
func New[T any](defaults T, getenv func(string) (string, bool)) *Loader[T] {
	return &Loader[T]{
		Settings: settingsOf(reflect.TypeFor[T]()), defaults: defaults, getenv: getenv, flags: make(map[string]string),
	}
}

// AddFlags declares a flag for each setting. Load reports the errors of flags together with those
// of the other sources.
func (l *Loader[T]) AddFlags(set *flag.FlagSet) {
	for _, s := range l.Settings {
		declare := set.Func
		if s.kind() == reflect.Bool {
			declare = set.BoolFunc
		}
		declare(s.Flag, s.Help, func(text string) error {
			l.flags[s.Flag] = text
			return nil
		})
		set.Lookup(s.Flag).DefValue = s.text(s.field(reflect.ValueOf(l.defaults)))
	}
}

// Loaded is a valid configuration.
type Loaded[T any] struct {
	Config T
	// Shadowed lists the settings of the file that another source overrides.
	Shadowed []Setting

	origins map[string]Origin // by key; settings with their defaults have none
}

// Load reads all sources. It returns the errors of all settings, each with the key, the value and
// what is allowed; if there are none, it returns the errors of T's Validate method.
func (l *Loader[T]) Load() (*Loaded[T], error) {
	loaded := &Loaded[T]{Config: l.defaults, origins: make(map[string]Origin)}
	config := reflect.ValueOf(&loaded.Config).Elem()
	var errs []error
	if l.File != "" {
		errs = readFile(config, l.Settings, l.File, l.Sections, loaded.origins)
	}
	for _, s := range l.Settings {
		if text, from := l.override(s); from.source != "" {
			if _, inFile := loaded.origins[s.Key]; inFile {
				loaded.Shadowed = append(loaded.Shadowed, s)
			}
			loaded.origins[s.Key] = from
			errs = append(errs, s.set(s.field(config), text, from))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if c, ok := any(loaded.Config).(interface{ Validate() error }); ok {
		if err := c.Validate(); err != nil {
			return nil, err
		}
	}
	return loaded, nil
}

// override returns the text of the flag or environment variable. An empty variable counts
// as unset.
func (l *Loader[T]) override(s Setting) (string, Origin) {
	if text, ok := l.flags[s.Flag]; ok {
		return text, Origin{source: fromFlag}
	}
	if text, ok := l.getenv(s.Env); ok && text != "" {
		return text, Origin{source: fromEnvironment}
	}
	return "", Origin{}
}

// Origin is where the value of a setting comes from. The zero value is the default.
type Origin struct {
	source string // fromFlag, fromEnvironment, fromOverride or the path of the file
	line   int    // in the file
}

const (
	fromFlag        = "flag"
	fromOverride    = "override"
	fromEnvironment = "environment"
)

// String returns default, FILE:LINE, environment, flag or override.
func (o Origin) String() string {
	if o.line > 0 {
		return fmt.Sprintf("%s:%d", o.source, o.line)
	}
	return cmp.Or(o.source, "default")
}

// Text returns the value of a setting; the value of a secret is masked.
func (l *Loaded[T]) Text(s Setting) string { return s.text(s.field(reflect.ValueOf(l.Config))) }

// Origin returns where the value of the setting with that key comes from.
func (l *Loaded[T]) Origin(key string) Origin { return l.origins[key] }

// Change is a setting whose values differ, as texts; the values of a secret are masked. Live
// reports whether a running process can apply this change.
type Change struct {
	Setting
	Old, New string
}

// Diff returns the settings whose values differ.
func Diff[T any](old, updated T) []Change {
	var changes []Change
	for _, s := range settingsOf(reflect.TypeFor[T]()) {
		before, after := s.field(reflect.ValueOf(old)), s.field(reflect.ValueOf(updated))
		if !reflect.DeepEqual(before.Interface(), after.Interface()) {
			if s.tag.Get("reload") == replace && (before.IsZero() || after.IsZero()) {
				s.Live = false
			}
			changes = append(changes, Change{s, s.detail(before), s.detail(after)})
		}
	}
	return changes
}
