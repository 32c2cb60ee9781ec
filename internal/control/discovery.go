package control

import (
	"fmt"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/events"
)

// discovered adds an event for a change of a group.
func (c *Controller) discovered(d distributor.Discovery) {
	event := events.Event{Kind: "discovered", Actor: system.Name, Path: analyzersPrefix + d.Group, New: encode(d.Members), Result: "applied"}
	if d.Beyond > 0 {
		event.Detail = fmt.Sprintf("the group has %d members more, which are too many and get nothing", d.Beyond)
	}
	if d.Err != nil {
		event.Kind, event.Result, event.Detail = "discovery_failed", "kept", d.Err.Error()
	}
	c.events.Add(event)
}
