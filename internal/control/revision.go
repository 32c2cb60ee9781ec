package control

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// revision is a configuration with the overrides that it contains. It is immutable.
type revision struct {
	number int64
	loaded
	sources   loaded // the configuration without overrides
	overrides overrides
	ids       identities
	origin
	// seen has all overrides that were known, with the bases of this distributor.
	seen overrides
	last *lastChange
}

// origin identifies the shared settings that a revision was made from.
type origin struct {
	shared  bool
	cluster string // see stored.Cluster
	version uint64 // see stored.version
	// ahead means that the configuration has changed here since the shared settings had the number.
	ahead bool
}

// dropped is an override that no longer holds.
type dropped struct {
	Override
	why string
}

// resolve applies overrides to the configuration of the sources. It drops overrides whose base has
// changed, and overrides that the new configuration does not allow.
//
// A shared override that is not allowed here stays in the list without effect, because another
// distributor may allow it. A shared override whose value the sources have got stays as well,
// because the sources of other distributors may not have the value yet.
func (r *revision) resolve(sources loaded, wanted overrides) (*revision, []dropped) {
	next, lost := r.resolveWithout(sources, wanted, nil)
	if next.shared && next.Config.Validate() != nil {
		return r.resolveWithout(sources, wanted, r.overrides.idle()) // the invalid override may be idle already
	}
	return next, lost
}

// resolveWithout is resolve without the effect of the overrides with some paths, each of which has
// the reason.
func (r *revision) resolveWithout(sources loaded, wanted overrides, idle map[string]string) (*revision, []dropped) {
	sources = sources.clone()
	next := &revision{origin: r.origin}
	sources.Config.Distributor.Targets, next.ids = r.ids.identify(sources.Config.Distributor.Targets, r.shared)
	next.sources, next.loaded = sources, sources.clone()
	var lost []dropped
	for _, one := range wanted {
		base := next.get(one.Path)
		if one.unseen {
			one = one.rebased(next.loaded)
		}
		next.seen = append(next.seen, one)
		if caughtUp := next.shared && sameJSON(base, one.Value); !sameJSON(base, one.Base) && !caughtUp {
			lost = append(lost, dropped{one, fmt.Sprintf("the value that it replaced was %s and is %s now", orNull(one.Base), orNull(base))})
			continue
		}
		one.Base, one.Idle = base, idle[one.Path]
		if one.Idle == "" {
			if err := next.override(one); err != nil {
				one.Idle = err.Error()
			}
		}
		if one.Idle != "" && !next.shared {
			lost = append(lost, dropped{one, one.Idle})
			continue
		}
		next.overrides = append(next.overrides, one)
	}
	return next, lost
}

// override sets the value of an override. It returns an error for a setting that the API does not
// change: whoever may write shared settings could set the credentials and commands of all distributors.
func (r *revision) override(one Override) error {
	if key, isSetting := strings.CutPrefix(one.Path, settingsPrefix); isSetting {
		if s, known := r.setting(key); known {
			if code, why := unchangeable(s); code != "" {
				return refuse(code, "%s", why)
			}
		}
	}
	return r.set(one.Path, one.Value)
}

// resolveValid is resolve for a start, a reload or a change by another distributor: if the
// overrides together make the configuration invalid, the last ones have no effect until it is
// valid.
func (r *revision) resolveValid(sources loaded, wanted overrides) (*revision, []dropped) {
	idle := make(map[string]string)
	for {
		next, lost := r.resolveWithout(sources, wanted, idle)
		err := next.Config.Validate()
		last := next.overrides.lastEffective()
		if err == nil || last == "" {
			return next, lost
		}
		idle[last] = err.Error()
	}
}

func orNull(text []byte) string {
	if len(text) == 0 {
		return "null"
	}
	return string(text)
}

// hash identifies the configuration: equal configurations have equal hashes.
func (r *revision) hash() string {
	sum := sha256.New()
	for _, s := range r.settings {
		fmt.Fprintf(sum, "%s=%s\n", s.Key, encode(r.Value(s)))
	}
	return hex.EncodeToString(sum.Sum(nil))
}
