package control

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// revision is a configuration with the overrides that it contains. It is immutable.
type revision struct {
	number int64
	loaded
	sources   loaded // without overrides
	overrides overrides
	ids       identities
}

// dropped is an override that does not hold any more.
type dropped struct {
	Override
	why string
}

// resolve applies overrides to the configuration of the sources. Those whose base has changed
// are dropped, and those that the new configuration does not allow.
func resolve(sources loaded, known identities, wanted overrides) (*revision, []dropped) {
	sources = sources.clone()
	r := &revision{}
	sources.Config.Distributor.Targets, r.ids = known.identify(sources.Config.Distributor.Targets)
	r.sources, r.loaded = sources, sources.clone()
	var lost []dropped
	for _, one := range wanted {
		base := r.get(one.Path)
		if !sameJSON(base, one.Base) {
			lost = append(lost, dropped{one, fmt.Sprintf("the value that it replaced was %s and is %s now", orNull(one.Base), orNull(base))})
			continue
		}
		if err := r.set(one.Path, one.Value); err != nil {
			lost = append(lost, dropped{one, err.Error()})
			continue
		}
		r.overrides = append(r.overrides, one)
	}
	return r, lost
}

// resolveValid is resolve for a start or a reload: if the overrides together make the
// configuration invalid, it drops the last ones until it is valid.
func resolveValid(sources loaded, known identities, wanted overrides) (*revision, []dropped) {
	r, lost := resolve(sources, known, wanted)
	for r.Config.Validate() != nil && len(r.overrides) > 0 {
		last := r.overrides[len(r.overrides)-1]
		why := r.Config.Validate().Error()
		kept := slices.Clone(r.overrides[:len(r.overrides)-1])
		r, _ = resolve(sources, known, kept)
		lost = append(lost, dropped{last, why})
	}
	return r, lost
}

func orNull(text []byte) string {
	if len(text) == 0 {
		return "null"
	}
	return string(text)
}

// hash identifies the configuration, which has the same one as long as nothing changes.
func (r *revision) hash() string {
	sum := sha256.New()
	for _, s := range r.settings {
		fmt.Fprintf(sum, "%s=%s\n", s.Key, encode(r.Value(s)))
	}
	return hex.EncodeToString(sum.Sum(nil))
}
