package control

import (
	"context"
	"errors"
	"time"
)

// store keeps the changes of operators: a fileStore for one distributor, a sharedStore for several,
// each of which makes changes. A content replaces only the content that it was made from.
type store interface {
	// load returns the content that this distributor has kept, which is empty if there is none.
	load() (stored, error)
	// latest returns the newest content that the distributors share, with its version, 0 if there
	// is none yet; and the reason if the content is not known. It does not wait.
	latest() (stored, error)
	// refresh reads the stored content, which latest then returns.
	refresh(ctx context.Context) error
	// save replaces the version from which the content was made, and returns the content with its
	// new version. It returns errReplaced if another distributor has replaced that version
	// meanwhile; latest then returns the newer content. It returns when the content is as durable
	// as the store promises.
	save(ctx context.Context, content stored) (stored, error)
	// changed receives a value after another distributor has replaced the content, and after the
	// status has changed.
	changed() <-chan struct{}
	status() StoreStatus
	close()
}

// errReplaced means that another distributor has replaced the content.
var errReplaced = errors.New("another distributor has changed the settings meanwhile")

// StoreStatus describes where the changes of operators are kept.
type StoreStatus struct {
	// Shared means that the changes hold at all distributors of the cluster.
	Shared bool
	// Synchronized is false while the shared settings cannot be reached, or cannot be applied here:
	// the latest settings that could be applied stay in force. Detail is the reason.
	Synchronized bool
	Detail       string
}

// stored is the content of a store.
type stored struct {
	Version  int   `json:"version"` // version of the format
	Revision int64 `json:"revision"`
	// Cluster identifies shared settings; empty: the settings are those of one distributor.
	Cluster string `json:"cluster,omitempty"`
	// Hash is the hash of the effective configuration, which a shared store does not share.
	Hash      string      `json:"configuration,omitempty"`
	IDs       identities  `json:"ids"`
	Overrides overrides   `json:"overrides"`
	Last      *lastChange `json:"last_change,omitempty"` // the changes that led to the revision

	version uint64 // number of a shared content; 0: the content was never shared
}

const storeVersion = 1

// lastChange describes a change for the other distributors.
type lastChange struct {
	Kind    string `json:"kind"`
	Actor   string `json:"actor"`
	Address string `json:"address,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Deadline is the deadline of the drains that the change starts; zero is the default.
	Deadline time.Time `json:"drain_deadline,omitzero"`
	// Left is the time until Deadline when the change was made: clocks of machines may differ.
	// Earlier versions store none.
	Left time.Duration `json:"drain_left_ns,omitzero"`
}

// deadline returns when the drains end by the clock of this process, which has just received the
// change.
func (c *lastChange) deadline() time.Time {
	if c.Left == 0 {
		return c.Deadline
	}
	return time.Now().Add(c.Left)
}
