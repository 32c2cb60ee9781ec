package control

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/logstreamer/logstreamer/internal/autoscale"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/events"
)

// driveInterval is how often the driver looks at the decisions.
const driveInterval = time.Second

// autoscaling has decisions about the number of analyzers carried out, if the configuration
// asks for it.
type autoscaling struct {
	controller        *Controller
	driver            *autoscale.Driver
	ticker            *time.Ticker
	succeeded, failed atomic.Int64
	told              map[string]told // the last event of each group
}

// told is what tells one event from the next.
type told struct {
	desired int
	err     string
}

func newAutoscaling(c *Controller) *autoscaling {
	s := &autoscaling{controller: c, told: make(map[string]told), ticker: time.NewTicker(driveInterval)}
	s.ticker.Stop()
	actuator := c.deps.Actuator
	if actuator == nil {
		actuator = autoscale.Program{Env: withoutSecrets(os.Environ(), c.loader.Settings)}
	}
	s.driver = autoscale.NewDriver(actuator, s.ended)
	return s
}

// withoutSecrets returns an environment without the settings whose values are never shown.
func withoutSecrets(environment []string, settings []config.Setting) []string {
	return slices.DeleteFunc(environment, func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.ContainsFunc(settings, func(s config.Setting) bool { return s.Secret() && s.Env == name })
	})
}

// configure starts or stops the ticker, as the configuration asks.
func (s *autoscaling) configure() {
	if s.controller.deps.Actuator != nil || s.controller.Config().Distributor.Autoscale.Mode == autoscale.Command {
		s.ticker.Reset(driveInterval)
	} else {
		s.ticker.Stop()
	}
}

// drive is called for each tick.
func (s *autoscaling) drive(ctx context.Context) {
	s.driver.Drive(ctx, time.Now(), s.controller.Distributor().Scale())
}

// stop ends the ticker, and waits for what is being carried out, after the end of its context.
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

// ended counts an outcome, and adds an event unless the last one of the group said the same. The
// driver calls it for one outcome at a time.
func (s *autoscaling) ended(o autoscale.Outcome) {
	detail := scaled{Output: o.Output, Took: o.Took.Round(time.Millisecond).String()}
	event := events.Event{
		Kind: "autoscaled", Actor: system.Name, Path: analyzersPrefix + o.Group, Old: o.Current, New: o.Desired, Reason: o.Reason, Result: "applied",
	}
	if o.Err != nil {
		event.Kind, event.Result, detail.Error = "autoscale_failed", "failed", o.Err.Error()
		s.failed.Add(1)
	} else {
		s.succeeded.Add(1)
		s.controller.Distributor().RefreshGroups()
	}
	next := told{o.Desired, detail.Error}
	if last, before := s.told[o.Group]; before && last == next {
		return
	}
	s.told[o.Group] = next
	event.Detail = detail
	s.controller.events.Add(event)
	logger := s.controller.deps.Logger.With("group", o.Group, "current", o.Current, "desired", o.Desired, "output", o.Output, "took", detail.Took)
	if o.Err != nil {
		logger.Error("the number of analyzers could not be changed", "error", o.Err)
		return
	}
	logger.Info("the number of analyzers was changed", "reason", o.Reason)
}
