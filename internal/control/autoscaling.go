package control

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/autoscale"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/events"
)

// driveInterval is the time between two checks of the decisions.
const driveInterval = time.Second

// autoscaling executes decisions about the number of analyzers, if the configuration enables it.
type autoscaling struct {
	controller        *Controller
	driver            *autoscale.Driver
	ticker            *time.Ticker
	succeeded, failed atomic.Int64

	mu sync.Mutex // guards the field below
	// reported has the latest event of each group, until the group has the desired number
	// or is gone.
	reported map[string]report
}

// errNoEffect is the outcome of a change that must be made again although it did not fail.
var errNoEffect = errors.New("it had ended without an error before, and the number was not the desired one after AUTOSCALE_COOLDOWN_SEC")

// report has the fields in which two events of a group differ.
type report struct {
	desired int
	err     string
}

func newAutoscaling(c *Controller) *autoscaling {
	s := &autoscaling{controller: c, reported: make(map[string]report), ticker: time.NewTicker(driveInterval)}
	s.ticker.Stop()
	actuator := c.deps.Actuator
	if actuator == nil {
		actuator = autoscale.Program{Env: withoutSecrets(os.Environ(), c.loader.Settings)}
	}
	s.driver = autoscale.NewDriver(actuator, s.ended)
	return s
}

// withoutSecrets returns an environment without the secret settings.
func withoutSecrets(environment []string, settings []config.Setting) []string {
	return slices.DeleteFunc(environment, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.ContainsFunc(settings, func(s config.Setting) bool { return s.Secret() && s.Env == name })
	})
}

// configure starts or stops the ticker as the configuration says.
func (s *autoscaling) configure() {
	if s.controller.deps.Actuator != nil || s.controller.Config().Distributor.Autoscale.Mode == autoscale.Command {
		s.ticker.Reset(driveInterval)
	} else {
		s.ticker.Stop()
	}
}

// drive is called for each tick.
func (s *autoscaling) drive(ctx context.Context) {
	decisions := s.controller.Distributor().Scale()
	s.mu.Lock()
	maps.DeleteFunc(s.reported, func(group string, _ report) bool {
		return !slices.ContainsFunc(decisions, func(d autoscale.Decision) bool { return d.Group == group && d.Current != d.Desired })
	})
	s.mu.Unlock()
	s.driver.Drive(ctx, time.Now(), decisions)
}

// stop ends the ticker, cancels the running change and waits for it.
func (s *autoscaling) stop() {
	s.ticker.Stop()
	s.driver.Wait()
}

// scaled is the detail of an event.
type scaled struct {
	Output string `json:"output,omitempty"`
	Error  string `json:"error,omitempty"`
	Took   string `json:"took"`
}

// ended counts an outcome, and adds an event unless the latest event of the group has the same
// report. The driver calls it for one outcome at a time.
func (s *autoscaling) ended(o autoscale.Outcome) {
	detail := scaled{Output: o.Output, Took: o.Took.Round(time.Millisecond).String()}
	event := events.Event{
		Kind: "autoscaled", Actor: system.Name, Path: analyzersPrefix + o.Group, Old: o.Current, New: o.Desired, Reason: o.Reason, Result: "applied",
	}
	if o.Err != nil {
		s.failed.Add(1)
	} else {
		s.succeeded.Add(1)
		s.controller.Distributor().RefreshGroups()
		if s.isRepeated(o) {
			o.Err = errNoEffect
		}
	}
	if o.Err != nil {
		event.Kind, event.Result, detail.Error = "autoscale_failed", "failed", o.Err.Error()
	}
	if !s.noteReport(o.Group, report{o.Desired, detail.Error}) {
		return
	}
	event.Detail = detail
	s.controller.events.Add(event)
	logger := s.controller.deps.Logger.With("group", o.Group, "current", o.Current, "desired", o.Desired, "output", o.Output, "took", detail.Took)
	if o.Err != nil {
		logger.Error("the number of analyzers could not be changed", "error", o.Err)
		return
	}
	logger.Info("the number of analyzers is changed", "reason", o.Reason)
}

// isRepeated reports whether the latest successful change of a group was for the same number, and
// the group has not had that number since.
func (s *autoscaling) isRepeated(o autoscale.Outcome) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, before := s.reported[o.Group]
	return before && last.desired == o.Desired && (last.err == "" || last.err == errNoEffect.Error())
}

// noteReport records the report of a group, and returns whether it differs from the previous one.
func (s *autoscaling) noteReport(group string, next report) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, before := s.reported[group]
	s.reported[group] = next
	return !before || last != next
}
