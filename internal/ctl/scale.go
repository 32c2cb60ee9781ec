package ctl

import (
	"context"
	"net/url"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// showScale shows how many analyzers each group needs, or one group.
func showScale(ctx context.Context, c *call) error {
	var query url.Values
	if len(c.args) > 0 {
		query = url.Values{"group": c.args[:1]}
	}
	var all adminapi.Scale
	if printed, err := c.read(ctx, adminclient.Path("scale"), query, &all); printed || err != nil {
		return err
	}
	groups := all.Groups
	if all.Group != "" {
		groups = []adminapi.Scale{all}
	}
	t := table{header: []string{"GROUP", ">DESIRED", ">CURRENT", ">HEALTHY", ">NEEDED", ">MIN", ">MAX", ">IN/S", ">BACKLOG", ">PACE"}}
	for _, g := range groups {
		pace := "-"
		if g.Pace != nil {
			pace = number(*g.Pace)
		}
		t.add(g.Group, strconv.Itoa(g.Desired), strconv.Itoa(g.Current), strconv.Itoa(g.Healthy), strconv.Itoa(g.Needed), strconv.Itoa(g.Min), strconv.Itoa(g.Max),
			number(g.Arriving), number(g.Backlog), pace)
	}
	if len(groups) > 0 {
		c.out.table(t)
	}
	for _, g := range groups {
		c.out.line("%s: %s", g.Group, g.Reason)
	}
	if len(groups) != 1 {
		c.out.line("Desired together: %d, current: %d: %s", all.Desired, all.Current, all.Reason)
	}
	return nil
}

// completeGroups returns the groups of analyzers.
func completeGroups(ctx context.Context, client *adminclient.Client) (names []string) {
	var all adminapi.Scale
	if client.Get(ctx, adminclient.Path("scale"), nil, &all) != nil {
		return nil
	}
	for _, g := range all.Groups {
		names = append(names, g.Group)
	}
	return names
}
