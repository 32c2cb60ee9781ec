package control

import (
	"maps"
	"slices"

	"github.com/logstreamer/logstreamer/internal/distributor"
)

// identities are the ids of the analyzers that have none in the sources, by URL. They are kept over
// changes and restarts, so that the id of an analyzer does not depend on other analyzers.
type identities map[string]string

// maxIdentities bounds the identities that distributors share.
const maxIdentities = 10_000

// identify returns the analyzers with ids, and the identities to keep. Distributors that share
// identities keep those of each other.
func (known identities) identify(targets distributor.Targets, shared bool) (distributor.Targets, identities) {
	named, kept := targets.WithIDs(known.targets()), make(identities)
	if shared && len(known) < maxIdentities {
		maps.Copy(kept, known)
	}
	for i, target := range targets {
		if target.ID == "" {
			kept[named[i].URL] = named[i].ID
		}
	}
	return named, kept
}

// atStart returns the identities with which a start with these analyzers begins: none if no analyzer
// stays, as if there had not been others. Overrides that name analyzers keep the identities, so that
// they do not hold for other ones.
func (known identities) atStart(targets distributor.Targets, all overrides) identities {
	earlier := slices.Collect(maps.Values(known))
	_, kept := known.identify(targets, false)
	for _, id := range kept { // new analyzers get no id of another one
		if slices.Contains(earlier, id) {
			return known
		}
	}
	if len(all.under(analyzersKey)) > 0 {
		return known
	}
	return nil
}

func (known identities) targets() (targets distributor.Targets) {
	for url, id := range known {
		targets = append(targets, distributor.Target{URL: url, ID: id})
	}
	return targets
}

func (known identities) equal(other identities) bool { return maps.Equal(known, other) }
