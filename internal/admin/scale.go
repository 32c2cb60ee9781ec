package admin

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/autoscale"
)

func scaleOf(d autoscale.Decision) adminapi.Scale {
	s := adminapi.Scale{
		Desired: d.Desired, Current: d.Current, Reason: d.Reason, Group: d.Group, Healthy: d.Healthy, Needed: d.Needed,
		Arriving: tenths(d.Arriving), Backlog: math.Round(d.Backlog), Utilization: d.Config.Utilization, DrainTime: d.Config.DrainTime.Seconds(),
		Min: d.Config.Min, Max: d.Config.Max,
	}
	if d.Pace > 0 {
		s.Pace = new(tenths(d.Pace))
	}
	return s
}

// tenths rounds to a tenth.
func tenths(x float64) float64 { return math.Round(10*x) / 10 }

// sumOf returns the sums over all groups, or the values of the only group.
func sumOf(groups []adminapi.Scale) adminapi.Scale {
	if len(groups) == 1 {
		only := groups[0]
		only.Groups = groups
		return only
	}
	all := adminapi.Scale{Groups: groups}
	var parts []string
	for _, g := range groups {
		all.Desired, all.Current, all.Healthy, all.Needed = all.Desired+g.Desired, all.Current+g.Current, all.Healthy+g.Healthy, all.Needed+g.Needed
		all.Arriving, all.Backlog, all.Min, all.Max = all.Arriving+g.Arriving, all.Backlog+g.Backlog, all.Min+g.Min, all.Max+g.Max
		all.Utilization, all.DrainTime = g.Utilization, g.DrainTime
		parts = append(parts, fmt.Sprintf("%s: %d", g.Group, g.Desired))
	}
	all.Reason = "no analyzer is in state ready"
	if len(parts) > 0 {
		all.Reason = "the sum of the groups (" + strings.Join(parts, ", ") + ")"
	}
	return all
}

func (a *api) getScale(r *request) (*response, error) {
	groups := []adminapi.Scale{}
	for _, one := range a.control.Distributor().Scale() {
		groups = append(groups, scaleOf(one))
	}
	if !r.has("group") {
		return &response{body: sumOf(groups)}, nil
	}
	at := slices.IndexFunc(groups, func(g adminapi.Scale) bool { return g.Group == r.text("group") })
	if at < 0 {
		return nil, refuse(notFound, "there is no group %s with analyzers in state ready; GET /v1/scale lists all", shown(r.text("group")))
	}
	return &response{body: groups[at]}, nil
}
