package autoscale

import (
	"fmt"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/config"
)

// Config is what users set; the tags are those of package config.
type Config struct {
	// Mode is Off or Command.
	Mode string `env:"AUTOSCALE" enum:"off,command" reload:"live" help:"off: the number of analyzers that are needed is only reported (/metrics, GET /v1/scale); command: AUTOSCALE_COMMAND is run to change it"`
	// Command is not live: clients that may change settings at run time may not choose programs.
	Command string `env:"AUTOSCALE_COMMAND" help:"program and arguments, separated by spaces, with {desired}, {current} and {group}, such as docker compose up -d --no-recreate --scale analyzer={desired}"`
	// DrainTime is within which a backlog is to be delivered.
	DrainTime time.Duration `env:"AUTOSCALE_DRAIN_SEC" format:"seconds" min:"1s" reload:"live" help:"seconds within which the backlog is to be delivered, beside what arrives"`
	// Utilization is how much of its full pace an analyzer is to be used for.
	Utilization float64 `env:"AUTOSCALE_UTILIZATION" min:">0" max:"1" reload:"live" help:"part of what an analyzer can deliver that it is to be used for"`
	// Min and Max bound the number of analyzers of a group.
	Min int `env:"AUTOSCALE_MIN" min:"1" max:"1024" reload:"live" help:"minimum number of analyzers of a group"`
	Max int `env:"AUTOSCALE_MAX" min:"1" max:"1024" reload:"live" help:"maximum number of analyzers of a group"`
	// QuietTime is for how long fewer must have been enough.
	QuietTime time.Duration `env:"AUTOSCALE_QUIET_SEC" format:"seconds" min:"0" max:"24h" reload:"live" help:"seconds for which fewer analyzers must have been enough before fewer are desired"`
	// Cooldown is from one start of the command to the next, and the limit of its time.
	Cooldown time.Duration `env:"AUTOSCALE_COOLDOWN_SEC" format:"seconds" min:"1s" max:"1h" reload:"live" help:"minimum seconds from one start of AUTOSCALE_COMMAND to the next, and the time after which it is killed"`
}

// What is done about the number of analyzers.
const (
	Off     = "off"
	Command = "command"
)

// DefaultConfig returns the documented defaults.
func DefaultConfig() Config {
	return Config{
		Mode: Off, DrainTime: time.Minute, Utilization: 0.8, Min: 1, Max: 10,
		QuietTime: 5 * time.Minute, Cooldown: time.Minute,
	}
}

// Validate checks what the bounds in the tags cannot. groups is the number of groups that are
// known beforehand.
func (c Config) Validate(groups int) error {
	words := strings.Fields(c.Command)
	for _, rule := range []struct {
		key   string
		value any
		ok    bool
		want  string
	}{
		{"AUTOSCALE_MAX", c.Max, c.Max >= c.Min, fmt.Sprintf("at least AUTOSCALE_MIN (%d)", c.Min)},
		{"AUTOSCALE_COMMAND", c.Command, c.Mode != Command || len(words) > 0, "a program and its arguments with AUTOSCALE=command"},
		{"AUTOSCALE_COMMAND", c.Command, len(words) == 0 || strings.Contains(c.Command, "{desired}"), "one with {desired}, the number of analyzers"},
		{"AUTOSCALE_COMMAND", c.Command, !strings.ContainsAny(c.Command, `"'\`), "one without quotes and backslashes: no shell reads it, and spaces separate its arguments (a script can have others)"},
		{"AUTOSCALE_COMMAND", c.Command, len(words) == 0 || !strings.Contains(words[0], "{"), "one whose program has no {…}"},
		{"AUTOSCALE_COMMAND", c.Command, len(words) == 0 || groups < 2 || strings.Contains(c.Command, "{group}"), fmt.Sprintf("one with {group}, as ANALYZERS has %d groups", groups)},
	} {
		if !rule.ok {
			return config.Refuse(rule.key, rule.value, rule.want, "%s is %#v: it must be %s", rule.key, rule.value, rule.want)
		}
	}
	return nil
}
