package control

import (
	"maps"

	"github.com/logstreamer/logstreamer/internal/distributor"
)

// identities are the ids of the analyzers whose sources give none, by URL. They are kept
// over changes and restarts, so that no analyzer's id depends on the presence of another.
type identities map[string]string

// identify returns the analyzers with ids, and the identities to keep.
func (known identities) identify(targets distributor.Targets) (distributor.Targets, identities) {
	named := append(distributor.Targets(nil), targets...)
	taken := make(map[string]bool)
	for _, t := range named {
		taken[t.ID] = true
	}
	unnamed := make(map[int]bool)
	for i := range named {
		if named[i].ID != "" {
			continue
		}
		unnamed[i] = true
		if id := known[distributor.PlaceOf(named[i].URL)]; id != "" && !taken[id] {
			named[i].ID, taken[id] = id, true
		}
	}
	named = named.Settled()
	kept := make(identities)
	for i := range unnamed {
		kept[distributor.PlaceOf(named[i].URL)] = named[i].ID
	}
	return named, kept
}

func (known identities) equal(other identities) bool { return maps.Equal(known, other) }
