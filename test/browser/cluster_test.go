package browser

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/admin"
	"github.com/logstreamer/logstreamer/internal/control"
)

// others are the other distributors of a cluster, and the settings that they share; nil is none.
type others struct {
	mu   sync.Mutex // guards all below
	all  []admin.Announcement
	text []byte
	err  error // why the settings cannot be read
}

// Others implements admin.Cluster.
func (o *others) Others() ([]admin.Announcement, error) {
	if o == nil {
		return nil, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all, o.err
}

// document returns the shared settings.
func (o *others) document() control.Document {
	if o == nil {
		return nil
	}
	return document{o}
}

// document is a control.Document that no other process changes.
type document struct{ *others }

func (d document) Latest() (text []byte, version uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text, uint64(len(d.text)), d.err
}

func (d document) Refresh(context.Context) error { return nil }

func (d document) Replace(_ context.Context, text []byte, _ uint64) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.text = text
	return uint64(len(text)), nil
}

func (document) Changed() <-chan struct{} { return nil }

func (document) Close() {}

// announce adds two distributors to the cluster, with the same statistics as this one.
func (o *others) announce(w *harness) {
	var all []admin.Announcement
	for _, name := range []string{"logs-2", "logs-3"} {
		i := admin.Identity{Name: name + ":8080", Ingest: "http://" + name + ":8080", Admin: "http://" + name + ":8081", Version: "1.0", Started: time.Now()}
		all = append(all, admin.Announcement{Text: i.Announce(w.controller)})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = all
}

// In a cluster the page shows each distributor, the one that serves the page, and the sum.
func TestCluster(t *testing.T) {
	parallel(t)
	o := &others{}
	w := startHarness(t, "", o)
	w.emit("web-1", 40, "1-100")
	o.announce(w)
	b := open(t, w, 1280, "light", "")
	b.shows("All is well: nothing is lost, 3 of 3 distributors and 3 of 3 analyzers take packets.")
	b.shows("Cluster of 3 distributors, as logs-1:8080 sees it")
	b.shows("Is anything lost? · the cluster")
	b.shows("When is the backlog gone? · logs-1:8080")
	b.shows("serves this page")
	// The same rate in all places.
	b.until(`new Set([document.querySelector('.number b'), document.querySelector("a[href='#/refusals'] .main"), document.querySelector('tr:has(.tag.info) td.n')].map(e => parseInt(e.textContent.replace(',', '')))).size === 1`)
	b.shows("3 of 3 ready")
	b.shows("logs-3:8080")
	if *update {
		b.snapshots(15) // for charts with something to see
		o.announce(w)
		b.snapshots(6)
	}
	b.picture("cluster")
	b.accessible("cluster, light, 1280 px")
	b.look(360, "dark")
	b.accessible("cluster, dark, 360 px")
	o.mu.Lock()
	well := o.all[0].Text
	o.all[0].Text = bytes.Replace(well, []byte(`"state":"normal"`), []byte(`"state":"saturated"`), 1)
	o.mu.Unlock()
	b.shows("logs-2:8080 is saturated: all analyzers are healthy.") // the state is another one, the reason as it was
	o.mu.Lock()
	o.all[0].Text = well
	gone := o.all[1:]
	o.all = o.all[:1]
	o.mu.Unlock()
	b.shows("logs-3:8080 left the cluster, or does not answer.")
	b.shows("2 of 2 ready")
	o.mu.Lock()
	o.all = append(o.all[:1:1], gone...)
	o.err = errors.New("no NATS server can be reached")
	o.mu.Unlock()
	b.shows("The settings of the cluster are not synchronized")
}
