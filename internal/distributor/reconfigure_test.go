package distributor

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/ratelimit"
)

// A configuration that needs a restart, or is invalid, changes nothing.
func TestReconfigureAllOrNothing(t *testing.T) {
	_, targets := threeScripted(t)
	s := startSystem(t, quick(t, targets...))
	before, analyzers := s.Config(), s.analyzers.Load()
	for _, test := range []struct {
		change func(*Config)
		text   string
	}{
		{func(c *Config) { c.Port = 1 }, "a restart is required to change PORT (1, now 0)"},
		{func(c *Config) { c.Journal = JournalDisk }, "JOURNAL (disk, now memory)"},
		{func(c *Config) { c.DataDir = "elsewhere" }, "DATA_DIR (elsewhere"},
		{func(c *Config) { c.DedupeWindow = time.Minute }, "DEDUPE_WINDOW_SEC (60, now 0)"},
		{func(c *Config) { c.Intake.Ack = intake.AckStored }, "ACK is stored"},
		{func(c *Config) { c.Rate.Limits = append(c.Rate.Limits, c.Rate.Limits[0]) }, "listed twice"},
	} {
		err := s.reconfigure(t, func(c *Config) {
			c.Targets[0].Weight, c.Targets[1].State, c.Analyzer.Retries = 0.7, StateDrain, 9
			c.Rate.Limits = append(c.Rate.Limits, ratelimit.Limit{Emitter: "e", Rate: 1})
			test.change(c)
		})
		if err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("error %v, want one with %q", err, test.text)
		}
		var restart *RestartRequiredError
		if errors.As(err, &restart) != strings.Contains(err.Error(), "restart") || restart != nil && len(restart.Changes) != 1 {
			t.Errorf("%v is %+v", err, restart)
		}
	}
	if changes := config.Diff(before, s.Config()); len(changes) > 0 || s.analyzers.Load() != analyzers || s.router.Stats().Members[0].Target != 0.5 {
		t.Errorf("a refused configuration changed %v", changes)
	}
}
