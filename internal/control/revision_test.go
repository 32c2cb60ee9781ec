package control

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/config"
)

// sources returns the configuration of a file.
func sources(t testing.TB, file string) loaded {
	t.Helper()
	loader := config.New(DefaultConfig(), func(string) (string, bool) { return "", false })
	loader.File = filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(loader.File, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := loader.Load()
	if err != nil {
		t.Fatal(err)
	}
	return loaded{read, loader.Settings}
}

func weights(r *revision) (text string) {
	for _, target := range r.Config.Distributor.Targets {
		text += fmt.Sprintf("%s=%g ", target.ID, target.Weight)
	}
	return strings.TrimSpace(text)
}

// override returns an override whose base is the value in the configuration.
func override(l loaded, path, value string) Override {
	return Override{Path: path, Value: json.RawMessage(value), Base: l.get(path), Time: time.Unix(1, 0).UTC()}
}

const three = "analyzers: [{id: a1, url: 'http://one:1', weight: 0.5}, {id: a2, url: 'http://two:1', weight: 0.3}, {id: a3, url: 'http://three:1', weight: 0.2}]\n"

// Overrides hold as long as the sources have the value that they replaced.
func TestBases(t *testing.T) {
	file := sources(t, three+"rate_limit: 10\n")
	base, _ := resolve(file, nil, nil)
	wanted := overrides{}.
		with(override(base.loaded, "analyzers/a2/weight", "0.1")).
		with(override(base.loaded, "analyzers/a3", "null")).
		with(override(base.loaded, "analyzers/a4", `{"url":"http://four:1","weight":0.4}`)).
		with(override(base.loaded, "settings/rate_limit", "20"))
	for _, c := range []struct{ file, want, lost string }{
		{three + "rate_limit: 10\n", "a1=0.5 a2=0.1 a4=0.4 20", ""},
		{three + "rate_limit: 11\n", "a1=0.5 a2=0.1 a4=0.4 11", "settings/rate_limit"},
		{strings.Replace(three, "0.3", "0.35", 1) + "rate_limit: 10\n", "a1=0.5 a2=0.35 a4=0.4 20", "analyzers/a2/weight"},
		{strings.Replace(three, "three:1", "three:2", 1) + "rate_limit: 10\n", "a1=0.5 a2=0.1 a3=0.2 a4=0.4 20", "analyzers/a3"},
		{strings.Replace(three, "0.3", "0.1", 1) + "rate_limit: 10\n", "a1=0.5 a2=0.1 a4=0.4 20", "analyzers/a2/weight"},
	} {
		r, lost := resolve(sources(t, c.file), nil, wanted)
		var paths []string
		for _, one := range lost {
			paths = append(paths, one.Path)
		}
		if got := fmt.Sprintf("%s %g", weights(r), r.Config.Distributor.Rate.Rate); got != c.want || strings.Join(paths, " ") != c.lost {
			t.Errorf("%s\ngot %s, lost %v; want %s, lost %s", c.file, got, paths, c.want, c.lost)
		}
	}
}

// The paths of changes name the changed parts, with the values before and after.
func TestDiff(t *testing.T) {
	old := sources(t, three)
	updated := sources(t, strings.Replace(strings.Replace(three, "0.3", "0.25", 1), "{id: a3, url: 'http://three:1', weight: 0.2}", "{id: a4, url: 'http://four:1', weight: 1}", 1)+"sender_timeout_ms: 700\nport: 1\nadmin_token: s3cret-of-operators\n")
	var got []string
	for _, c := range diff(old, updated) {
		got = append(got, fmt.Sprintf("%s: %s -> %s %v", c.Path, c.Old, c.New, c.live))
	}
	slices.Sort(got)
	want := []string{
		`analyzers/a2/weight: 0.3 -> 0.25 true`,
		`analyzers/a3: {"id":"a3","url":"http://three:1","weight":0.2} -> null true`,
		`analyzers/a4: null -> {"id":"a4","url":"http://four:1","weight":1} true`,
		`settings/admin_token: "" -> "xxxxx" true`,
		`settings/port: 8080 -> 1 false`,
		`settings/sender_timeout_ms: 500 -> 700 true`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// An override that expires reverts to the one that it covered.
func TestExpiry(t *testing.T) {
	base, _ := resolve(sources(t, three), nil, nil)
	forGood := override(base.loaded, "analyzers/a2/weight", "0.1")
	briefly := override(base.loaded, "analyzers/a2/weight", "0.9")
	soon, later := time.Unix(10, 0), time.Unix(20, 0)
	briefly.Expires = &later
	all := overrides{}.with(forGood).with(briefly)
	briefly.Expires = &soon
	all = all.with(briefly)
	if at, ok := all.nextExpiry(time.Time{}); !ok || !at.Equal(soon) {
		t.Errorf("expires at %v, %v", at, ok)
	}
	if left, expired := all.expire(soon.Add(-1)); len(left) != 1 || len(expired) != 0 {
		t.Errorf("%v expired early", expired)
	}
	left, expired := all.expire(soon)
	if len(left) != 1 || string(left[0].Value) != "0.1" || len(expired) != 1 || expired[0].Path != "analyzers/a2/weight" {
		t.Errorf("left %+v, expired %v", left, expired)
	}
	if _, ok := left.nextExpiry(time.Time{}); ok {
		t.Error("a permanent override expires")
	}
}

// An analyzer keeps its id when an earlier one is removed, and over restarts.
func TestIdentities(t *testing.T) {
	file := "analyzers: [{url: 'http://localhost:1', weight: 1}, {url: 'http://localhost:2', weight: 2}, {url: 'http://localhost:3', weight: 3}]\n"
	r, _ := resolve(sources(t, file), nil, nil)
	if got := weights(r); got != "analyzer-1=1 analyzer-2=2 analyzer-3=3" {
		t.Error(got)
	}
	file = "analyzers: [{url: 'http://LOCALHOST:3/', weight: 3}, {url: 'http://localhost:4', weight: 4}, {url: 'http://localhost:2', weight: 2}]\n"
	next, _ := resolve(sources(t, file), r.ids, nil)
	if got := weights(next); got != "analyzer-3=3 analyzer-3-at-3=4 analyzer-2=2" {
		t.Error(got)
	}
	if len(next.ids) != 3 || next.ids.equal(r.ids) {
		t.Errorf("%v", next.ids)
	}
}

// A start with other analyzers only counts from 1, unless an override names one of those before.
func TestIdentitiesAtStart(t *testing.T) {
	const file = "analyzers: [{url: 'http://localhost:4', weight: 1}, {url: 'http://LOCALHOST:5/', weight: 2}]\n"
	known := identities{"http://localhost:1": "analyzer-1", "http://localhost:2": "analyzer-2"}
	base := sources(t, file)
	targets := base.Config.Distributor.Targets
	of := func(known identities, all overrides) string {
		r, _ := resolve(sources(t, file), known.atStart(targets, all), nil)
		return weights(r)
	}
	if got := of(known, overrides{override(base, "settings/rate_limit", "5")}); got != "analyzer-1=1 analyzer-2=2" {
		t.Errorf("all are new: %s", got)
	}
	if got := of(known, overrides{override(base, "analyzers/analyzer-1/weight", "5")}); got != "analyzer-3=1 analyzer-4=2" {
		t.Errorf("an override names an earlier one: %s", got)
	}
	known["http://localhost:5"] = "analyzer-9"
	if got := of(known, nil); got != "analyzer-3=1 analyzer-9=2" {
		t.Errorf("one stays: %s", got)
	}
}

// A start drops the overrides with which the sources are no longer valid, and no others.
func TestInvalidOverridesAreDropped(t *testing.T) {
	base, _ := resolve(sources(t, three+"rate_limit: 10\n"), nil, nil)
	wanted := overrides{}.
		with(override(base.loaded, "analyzers/a2/weight", "0.1")).
		with(override(base.loaded, "analyzers/a5", `{"url":"http://one:1/","weight":1}`)).
		with(override(base.loaded, "analyzers/a9/weight", "1")).
		with(override(base.loaded, "settings/rate_burst", "20"))
	r, lost := (&revision{}).resolveValid(sources(t, three+"rate_limit: 10\n"), wanted)
	if got := weights(r); got != "a1=0.5 a2=0.1 a3=0.2" || len(lost) != 3 {
		t.Errorf("%s, lost %+v", got, lost)
	}
}

// resolve resolves overrides that are not shared.
func resolve(sources loaded, ids identities, wanted overrides) (*revision, []dropped) {
	return (&revision{ids: ids}).resolve(sources, wanted)
}

// The file holds the content that was stored last; a damaged file is refused with its path.
func TestStore(t *testing.T) {
	s := fileStore{filepath.Join(t.TempDir(), "data")}
	base, _ := resolve(sources(t, three), nil, nil)
	at := time.Unix(99, 0).UTC()
	one := override(base.loaded, "limits/web/1\n", `{"rate":1}`)
	one.Expires, one.Beneath = &at, []Override{{Path: one.Path, Time: at}}
	want := stored{Revision: 7, Hash: "h", IDs: identities{"u": "i"}, Overrides: overrides{one}}
	if _, err := s.save(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := s.load()
	want.Version = storeVersion
	if err != nil || string(encode(got)) != string(encode(want)) {
		t.Errorf("%s, %v\nwant %s", encode(got), err, encode(want))
	}
	path := filepath.Join(s.dir, storeFile)
	for _, text := range []string{"", "{", `{"version":2}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.load(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := (fileStore{}).save(t.Context(), want); err != nil {
		t.Error(err)
	}
}
