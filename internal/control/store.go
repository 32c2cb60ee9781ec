package control

import (
	"context"
	"errors"
	"time"
)

// store keeps what operators changed: a fileStore for one distributor, a sharedStore for several,
// each of which makes changes. A content is replaced only by one that was made from it.
type store interface {
	// load returns what this distributor has kept, which is empty if there is nothing.
	load() (stored, error)
	// latest returns the newest content that the distributors share, with its version, 0 if there
	// is none yet; and the reason if that is not known. It does not wait.
	latest() (stored, error)
	// refresh makes latest return what is stored now.
	refresh(ctx context.Context) error
	// save replaces the content of the version that this one has, and returns it with its new
	// version; errReplaced if another distributor has replaced that content meanwhile, which
	// latest returns then. It returns once the content is as safe as the store promises.
	save(ctx context.Context, content stored) (stored, error)
	// changed receives a value after another distributor has replaced the content, and after
	// status has changed.
	changed() <-chan struct{}
	status() StoreStatus
	close()
}

// errReplaced means that another distributor has replaced the content.
var errReplaced = errors.New("another distributor has changed the settings meanwhile")

// StoreStatus says where the changes of operators are kept.
type StoreStatus struct {
	// Shared means that they hold at all distributors of the cluster.
	Shared bool `json:"shared"`
	// Synchronized is false while the shared settings cannot be reached, or cannot be applied
	// here: the last ones that could hold on. Detail says why.
	Synchronized bool   `json:"synchronized"`
	Detail       string `json:"detail,omitempty"`
}

// stored is the content of a store.
type stored struct {
	Version  int   `json:"version"` // of the format
	Revision int64 `json:"revision"`
	// Cluster identifies shared settings; empty: they are those of one distributor.
	Cluster string `json:"cluster,omitempty"`
	// Hash is that of the effective configuration, which a shared store does not share.
	Hash      string      `json:"configuration,omitempty"`
	IDs       identities  `json:"ids"`
	Overrides overrides   `json:"overrides"`
	Last      *lastChange `json:"last_change,omitempty"` // that led to the revision

	version uint64 // of a shared content; 0: it was never shared
}

const storeVersion = 1

// lastChange tells the other distributors of a change.
type lastChange struct {
	Kind    string `json:"kind"`
	Actor   string `json:"actor"`
	Address string `json:"address,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Deadline is that of the drains that the change starts; zero is the default.
	Deadline time.Time `json:"drain_deadline,omitzero"`
}
