package ctl

import (
	"context"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// showCluster shows the distributors, the one that answers with an asterisk, and their sum.
func showCluster(ctx context.Context, c *call) error {
	var cluster adminapi.Cluster
	if printed, err := c.read(ctx, adminclient.Path("cluster"), nil, &cluster); printed || err != nil {
		return err
	}
	t := table{header: []string{"DISTRIBUTOR", "ADDRESS", "VERSION", "STATE", ">REVISION", ">IN/S", ">OUT/S", ">ACCEPTED", ">DELIVERED", ">HELD"}}
	row := func(name, address, version, state, revision string, r adminapi.Rates, l adminapi.Ledger) {
		held := l.Queued.Packets + l.InFlight.Packets
		t.add(name, address, version, state, revision, number(r.Accepted), number(r.Delivered), strconv.FormatInt(l.Accepted.Packets, 10), strconv.FormatInt(l.Delivered.Packets, 10), strconv.FormatInt(held, 10))
	}
	for _, d := range cluster.Distributors {
		name, state := d.Name, d.State
		if d.Responses {
			name += " *"
		}
		if !d.Ready {
			state += ", not ready"
		}
		if !d.Synchronized {
			state += ", settings not synchronized"
		}
		row(name, d.Address, d.Version, state, strconv.FormatInt(d.Revision, 10), d.Rates, d.Ledger)
	}
	row("sum", "", "", strconv.Itoa(cluster.Sum.Ready)+" of "+strconv.Itoa(cluster.Sum.Distributors)+" ready", "", cluster.Sum.Rates, cluster.Sum.Ledger)
	c.out.table(t)
	c.out.line("Packets since each start; rates in messages. Unaccounted messages: %d.", cluster.Sum.Ledger.UnaccountedMessages)
	if s := cluster.Stored; s != nil {
		c.out.line("The streams hold %d envelopes, %d of %d bytes.", s.Envelopes, s.Bytes, s.Limit)
	}
	if !cluster.Connected {
		c.out.line("Others may have come or gone unnoticed: %s", cluster.Detail)
	}
	return nil
}
