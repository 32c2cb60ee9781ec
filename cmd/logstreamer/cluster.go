package main

import (
	"context"

	"github.com/logstreamer/logstreamer/internal/admin"
	"github.com/logstreamer/logstreamer/internal/cluster"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/distributor"
)

// share connects to the other distributors, if the configuration has a journal that they share.
func (r *runner) share(c control.Config) (control.Document, error) {
	streams := c.Distributor.JetStream
	if c.Distributor.Journal != distributor.JournalJetStream || streams.Validate() != nil {
		return nil, nil // one that is not valid is reported as such
	}
	opened, err := cluster.Open(cluster.Config{Config: streams.Config, Name: streams.Stream, Replicas: streams.Replicas}, "settings", r.logger.With("component", "cluster"))
	if err != nil {
		r.notShared = err
		return nil, err
	}
	r.cluster = opened
	return opened.Settings(), nil
}

// identify sets the identity that this process announces.
func (r *runner) identify(i *instance, c control.Config) {
	if r.identity.Name != "" {
		return // it took over from itself after an upgrade that failed
	}
	address := ""
	if i.listener != nil {
		address = i.listener.Addr().String()
	}
	r.identity = admin.NewIdentity(i.Distributor, address, c.Admin.TLSCert != "", c.Distributor.Version)
}

// others returns the other distributors, nil if there cannot be any.
func (r *runner) others() admin.Cluster {
	if r.cluster == nil {
		return nil
	}
	return others{r.cluster.Presence()}
}

// announce publishes the presence of this distributor to the others, until the context ends.
func (r *runner) announce(ctx context.Context) {
	r.cluster.Presence().Run(ctx, func() []byte { return r.identity.Announce(r.controller) }, func(size int) {
		r.logger.Info("the number of distributors has changed", "distributors", size)
		r.controller.Distributor().SetClusterSize(size)
	})
}

// others implements admin.Cluster.
type others struct{ *cluster.Presence }

// Others implements admin.Cluster.
func (o others) Others() (all []admin.Announcement, err error) {
	members, err := o.Members()
	for _, one := range members {
		all = append(all, admin.Announcement{Text: one.Text, Age: one.Age})
	}
	return all, err
}
