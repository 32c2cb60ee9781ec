package top

import (
	"fmt"
	"strings"
)

// cluster returns a line about the distributors that share the journal, empty without others.
func (d Detail) cluster() string {
	c := d.Cluster
	if len(c.Distributors) == 0 {
		return ""
	}
	line := fmt.Sprintf("cluster: in %.0f msg/s, out %.0f msg/s, %d of %d ready", c.Sum.Rates.Accepted, c.Sum.Rates.Delivered, c.Sum.Ready, c.Sum.Distributors)
	if c.Stored != nil {
		line += fmt.Sprintf(", %d envelopes stored", c.Stored.Envelopes)
	}
	if !c.Connected {
		line += ", perhaps outdated: " + c.Detail
	}
	var others []string
	for _, one := range c.Distributors {
		text := one.Name + " " + one.State
		if one.Responses {
			text = one.Name + " (this one)"
		}
		if !one.Synchronized {
			text += ", settings not synchronized"
		}
		others = append(others, text)
	}
	return line + "; " + strings.Join(others, "; ")
}
