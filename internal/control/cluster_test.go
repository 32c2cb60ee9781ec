package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/events"
)

// bucket is the document of a cluster in memory.
type bucket struct {
	mu      sync.Mutex // guards all below
	text    []byte
	version uint64
	down    error
	members []*member
	written int
}

// member is a distributor's view of a bucket.
type member struct {
	*bucket
	known   []byte
	at      uint64
	changes chan struct{}
}

var errDown = errors.New("NATS is down")

func (b *bucket) share(Config) (Document, error) {
	m := &member{bucket: b, changes: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.members = append(b.members, m)
	if b.down == nil {
		m.known, m.at = b.text, b.version
	}
	return m, nil
}

func (m *member) Latest() (text []byte, version uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known, m.at, m.down
}

func (m *member) Refresh(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down == nil {
		m.known, m.at = m.text, m.version
	}
	return m.down
}

func (m *member) Replace(_ context.Context, text []byte, version uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return 0, m.down
	}
	if version != m.version {
		m.known, m.at = m.text, m.version
		return 0, ErrReplaced
	}
	m.text, m.version, m.written = text, m.version+1, m.written+1
	m.notifyLocked()
	return m.version, nil
}

func (b *bucket) notifyLocked() {
	for _, m := range b.members {
		if b.down == nil {
			m.known, m.at = b.text, b.version
		}
		select {
		case m.changes <- struct{}{}:
		default:
		}
	}
}

func (m *member) Changed() <-chan struct{} { return m.changes }

func (m *member) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.members = slices.DeleteFunc(m.members, func(other *member) bool { return other == m })
}

// fail makes the bucket unreachable, or reachable again.
func (b *bucket) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = err
	b.notifyLocked()
}

// put replaces the text as a foreign writer does.
func (b *bucket) put(text []byte, version uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text, b.version = text, version
	b.notifyLocked()
}

func (b *bucket) writes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.written
}

// startCluster starts distributors that share a bucket; each has these lines in its file.
func startCluster(t *testing.T, lines ...string) (*bucket, []*running) {
	t.Helper()
	b, first, all := &bucket{}, prepare(t), []*running(nil)
	for i, line := range lines {
		r := &running{t: t, dir: t.TempDir(), env: make(map[string]string), analyzers: first.analyzers, share: b.share}
		r.write(r.twoAnalyzers() + line)
		r.open()
		all = append(all, r)
		until(t, fmt.Sprintf("distributor %d has the revision of the others", i), func() bool { return r.Revision() == all[0].Revision() })
	}
	return b, all
}

func agree(all []*running) bool {
	return !slices.ContainsFunc(all, func(r *running) bool { return r.Revision() != all[0].Revision() || r.weights() != all[0].weights() })
}

// reported returns the events of a kind of the revisions that are in force.
func (r *running) reported(kind string) (reported []events.Event) {
	r.mu.Lock() // a revision is in force before its event is added
	defer r.mu.Unlock()
	for _, e := range r.Events().After(0, maxEvents) {
		if e.Kind == kind {
			reported = append(reported, e)
		}
	}
	return reported
}

// A change at any distributor holds at all distributors, in one revision, and all know its actor.
func TestChangesHoldAtAllDistributors(t *testing.T) {
	_, all := startCluster(t, "", "", "")
	before := all[0].Revision()
	result := all[1].mustSucceed(all[1].PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{Weight: pointer(0.7)}))
	if result.Revision != before+1 {
		t.Errorf("revision %d after %d", result.Revision, before)
	}
	until(t, "all have the weight", func() bool { return agree(all) && all[2].Revision() == result.Revision })
	for _, r := range all {
		reported := r.reported("analyzer_changed")
		if len(reported) != 1 || reported[0].Actor != "ann" || reported[0].Reason != "a test" || reported[0].Path != "analyzers/a2/weight" || r.weights() != "a1=0.6 ready, a2=0.7 ready" {
			t.Errorf("%+v, %s", reported, r.weights())
		}
	}
	all[2].mustSucceed(all[2].Revert(t.Context(), operator, ""))
	until(t, "all distributors have reverted the override", func() bool { return agree(all) && all[0].weights() == "a1=0.6 ready, a2=0.4 ready" })
}

// Of two simultaneous changes at two distributors that are meant for one revision, one is made. Two
// changes that are meant for any revision are both made.
func TestChangesAtTwoDistributorsAtOnce(t *testing.T) {
	_, all := startCluster(t, "", "")
	for round := range 10 {
		until(t, "the distributors agree", func() bool { return agree(all) })
		request := operator
		if round%2 == 0 {
			request.IfMatch = all[0].Revision()
		}
		before, errs := all[0].Revision(), make([]error, 2)
		var changing sync.WaitGroup
		for i, r := range all {
			changing.Go(func() {
				_, errs[i] = r.PatchAnalyzer(t.Context(), request, []string{"a1", "a2"}[i], AnalyzerPatch{Weight: pointer(float64(round + 2))})
			})
		}
		changing.Wait()
		made := int64(0)
		for _, err := range errs {
			var refusal *Error
			switch {
			case err == nil:
				made++
			case !errors.As(err, &refusal) || refusal.Code != StaleRevision || refusal.Revision != before+1:
				t.Errorf("%v", err)
			}
		}
		if want := int64(2 - (round+1)%2); made != want {
			t.Errorf("%d changes were made, want %d", made, want)
		}
		until(t, "both have the revision", func() bool { return all[0].Revision() == before+made && agree(all) })
	}
}

// A revision that one distributor has published reaches all others.
func TestRevisionOfAnotherDistributor(t *testing.T) {
	b, all := startCluster(t, "", "")
	all[1].stop() // the member gets no signals of changes
	r := &running{t: t, dir: all[1].dir, env: all[1].env, analyzers: all[1].analyzers, share: func(c Config) (Document, error) {
		document, err := b.share(c)
		return unsignaledDocument{document}, err
	}}
	r.open()
	result := all[0].mustSucceed(all[0].PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{Weight: pointer(0.7)}))
	request := operator
	request.IfMatch = result.Revision
	if got := r.mustSucceed(r.PatchAnalyzer(t.Context(), request, "a1", AnalyzerPatch{Weight: pointer(0.1)})); got.Revision != result.Revision+1 {
		t.Errorf("%+v", got)
	}
	if got := r.weights(); got != "a1=0.1 ready, a2=0.7 ready" {
		t.Error(got)
	}
}

// unsignaledDocument is a document that does not signal changes.
type unsignaledDocument struct{ Document }

func (unsignaledDocument) Changed() <-chan struct{} { return nil }

// Without the bucket a distributor starts with the copy, reports that, and refuses changes. When
// the bucket is back, the distributor applies the changes that were made meanwhile.
func TestStartWithoutTheBucket(t *testing.T) {
	b, all := startCluster(t, "", "")
	one, other := all[0], all[1]
	one.mustSucceed(one.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{State: pointer("drain")}))
	until(t, "both have it", func() bool { return agree(all) })
	revision := one.Revision()
	other.stop()
	one.mustSucceed(one.PatchAnalyzer(t.Context(), operator, "a1", AnalyzerPatch{Weight: pointer(0.9)}))
	b.fail(errDown)
	other.open()
	if got := other.weights(); got != "a1=0.6 ready, a2=0.4 drain" || other.Revision() != revision {
		t.Errorf("%s, revision %d", got, other.Revision())
	}
	if s := other.Store(); s.Synchronized || !s.Shared || !strings.Contains(s.Detail, errDown.Error()) || len(other.reported("settings_unreachable")) != 1 {
		t.Errorf("%+v, %+v", s, other.reported("settings_unreachable"))
	}
	refused := other.wantRefused(Internal)
	result, err := other.PatchAnalyzer(t.Context(), operator, "a1", AnalyzerPatch{Weight: pointer(0.1)})
	refused(result, err)
	if !strings.Contains(fmt.Sprint(err), errDown.Error()) || other.weights() != "a1=0.6 ready, a2=0.4 drain" {
		t.Errorf("%v, %s", err, other.weights())
	}
	other.mustSucceed(other.Reload(t.Context(), operator)) // a refused change
	b.fail(nil)
	until(t, "both agree", func() bool { return agree(all) && other.weights() == "a1=0.9 ready, a2=0.4 drain" })
	if !other.Store().Synchronized || len(other.reported("settings_reachable")) != 1 {
		t.Errorf("%+v", other.Store())
	}
	other.mustSucceed(other.PatchAnalyzer(t.Context(), operator, "a1", AnalyzerPatch{Weight: pointer(0.1)}))
}

// An override expires once for all distributors.
func TestOverridesExpireOnce(t *testing.T) {
	b, all := startCluster(t, "", "", "")
	request := operator
	request.TTL = 100 * time.Millisecond
	before, written := all[0].Revision(), b.writes()
	all[0].mustSucceed(all[0].PatchAnalyzer(t.Context(), request, "a2", AnalyzerPatch{Weight: pointer(0.7)}))
	until(t, "the override has expired at all distributors", func() bool {
		return agree(all) && all[0].Revision() == before+2 && all[0].weights() == "a1=0.6 ready, a2=0.4 ready"
	})
	for _, r := range all {
		if reported := r.reported("expired"); len(reported) != 1 || r.Store().Detail != "" {
			t.Errorf("%+v", reported)
		}
	}
	if made := b.writes() - written; made != 2 {
		t.Errorf("%d writes", made)
	}
}

// Overrides and drains end after their durations, even if the clock of the distributor that set
// them differs.
func TestClocksOfMachinesDiffer(t *testing.T) {
	b, all := startCluster(t, "", "")
	request := operator
	request.TTL = time.Hour
	all[0].mustSucceed(all[0].PatchAnalyzer(t.Context(), request, "a1", AnalyzerPatch{Weight: pointer(0.7)}))
	result := all[0].mustSucceed(all[0].PatchAnalyzer(t.Context(), request, "a2", AnalyzerPatch{Weight: pointer(0.7)}))
	until(t, "both have it", func() bool { return agree(all) && all[1].Revision() == result.Revision })
	b.mu.Lock()
	text, version := b.text, b.version
	b.mu.Unlock()
	var content stored
	if err := json.Unmarshal(text, &content); err != nil {
		t.Fatal(err)
	}
	for i, made := range []struct{ clock, ttl time.Duration }{{-2 * time.Hour, time.Hour}, {2 * time.Hour, 200 * time.Millisecond}} {
		at := time.Now().Add(made.clock).Round(0)
		expires := at.Add(made.ttl)
		content.Overrides[i].Time, content.Overrides[i].Expires = at, &expires
	}
	content.Revision++
	content.Last = &lastChange{Kind: "analyzer_changed", Actor: "ann", Deadline: time.Now().Add(-2 * time.Hour), Left: time.Hour}
	if left := time.Until(content.Last.deadline()); left < time.Hour-time.Minute || left > time.Hour {
		t.Errorf("the drain ends in %v", left)
	}
	text, err := encodeShared(content)
	if err != nil {
		t.Fatal(err)
	}
	b.put(text, version+1)
	until(t, "the second override has expired", func() bool {
		return agree(all) && all[1].Revision() > content.Revision && strings.Contains(all[1].weights(), "a2=0.4")
	})
	if got := all[1].weights(); got != "a1=0.7 ready, a2=0.4 ready" {
		t.Errorf("the weights are %s", got)
	}
}

// A drain holds at every distributor, and each distributor has its own proof.
func TestDrainsOfACluster(t *testing.T) {
	_, all := startCluster(t, "", "")
	all[0].mustSucceed(all[0].PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{State: pointer("drain"), Deadline: pointer(time.Hour)}))
	for _, r := range all {
		until(t, "the drain has ended", func() bool {
			status, ok := r.Drain("a2")
			return ok && status.Ended != nil
		})
		if status, _ := r.Drain("a2"); status.Result != "drained" || time.Until(status.Deadline) < 50*time.Minute {
			t.Errorf("%+v", status)
		}
	}
}

// An override holds at distributors with other files, until the file of one of them has another
// value at its path; then the override is dropped at all distributors.
func TestDifferentFiles(t *testing.T) {
	_, all := startCluster(t, "rate_limit: 100\n", "rate_limit: 200\n")
	limits := func(r *running) float64 { return r.Config().Distributor.Rate.Rate }
	set := func(value string) {
		t.Helper()
		all[0].mustSucceed(all[0].PatchSettings(t.Context(), operator, map[string]json.RawMessage{"rate_limit": json.RawMessage(value)}))
		until(t, "both have it", func() bool { return agree(all) && fmt.Sprint(limits(all[1])) == value })
	}
	set("50")
	for _, r := range all {
		r.mustSucceed(r.Reload(t.Context(), operator))
	}
	all[1].stop()
	all[1].open()
	if limits(all[0]) != 50 || limits(all[1]) != 50 {
		t.Errorf("%v and %v", limits(all[0]), limits(all[1]))
	}
	// The value of the override, as when an operator moves the override into the files one by one.
	all[1].write(all[1].twoAnalyzers() + "rate_limit: 50\n")
	all[1].mustSucceed(all[1].Reload(t.Context(), operator))
	until(t, "the distributors agree", func() bool { return agree(all) })
	if limits(all[0]) != 50 || limits(all[1]) != 50 || len(all[0].Overrides()) != 1 {
		t.Errorf("%v and %v", limits(all[0]), limits(all[1]))
	}
	// Another value, which was written while the distributor was stopped.
	all[1].stop()
	all[1].write(all[1].twoAnalyzers() + "rate_limit: 300\n")
	all[1].open()
	until(t, "the file has won", func() bool { return agree(all) && len(all[0].Overrides()) == 0 })
	if limits(all[0]) != 100 || limits(all[1]) != 300 || len(all[1].reported("override_dropped")) != 1 {
		t.Errorf("%v and %v", limits(all[0]), limits(all[1]))
	}
	set("60")
}

// A change that one distributor cannot apply has no effect there, and stays in force at the others.
func TestOverridesThatOneDistributorCannotApply(t *testing.T) {
	_, all := startCluster(t, "", "")
	one, other := all[0], all[1]
	one.write(fmt.Sprintf("analyzers: [{id: a1, url: '%s', weight: 0.6}, {id: a2, url: '%s', weight: 0.4}, {id: b, url: '%s', weight: 1}]\n",
		one.analyzers[0].URL(), one.analyzers[1].URL(), one.analyzers[2].URL()))
	one.mustSucceed(one.Reload(t.Context(), operator))
	one.mustSucceed(one.PatchAnalyzer(t.Context(), operator, "b", AnalyzerPatch{Weight: pointer(3.0)}))
	until(t, "the other distributor has the revision", func() bool { return other.Revision() == one.Revision() })
	if list := other.Overrides(); len(list) != 1 || !strings.Contains(list[0].Idle, "there is no \"b\"") || len(other.reported("override_idle")) != 1 {
		t.Errorf("%+v", list)
	}
	other.mustSucceed(other.PatchAnalyzer(t.Context(), operator, "a1", AnalyzerPatch{Weight: pointer(0.5)}))
	until(t, "the other distributor has the revision", func() bool { return other.Revision() == one.Revision() })
	if got := one.weights(); got != "a1=0.5 ready, a2=0.4 ready, b=3 ready" || len(one.Overrides()) != 2 || one.Overrides()[1].Idle != "" {
		t.Errorf("%s, %+v", got, one.Overrides())
	}
}

// The distributors replace settings that the servers lost, or that are older.
func TestLostBucket(t *testing.T) {
	b, all := startCluster(t, "", "")
	old := b.text
	all[0].mustSucceed(all[0].PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{Weight: pointer(0.7)}))
	until(t, "the distributors agree", func() bool { return agree(all) })
	revision := all[0].Revision()
	for _, lost := range [][]byte{nil, old} {
		version := uint64(0)
		if lost != nil {
			version = 99
		}
		b.put(lost, version)
		until(t, "the bucket has the settings", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return strings.Contains(string(b.text), "0.7")
		})
		until(t, "the distributors agree", func() bool { return agree(all) })
	}
	for _, r := range all {
		if r.weights() != "a1=0.6 ready, a2=0.7 ready" || r.Revision() != revision {
			t.Errorf("%s, revision %d", r.weights(), r.Revision())
		}
	}
	b.mu.Lock()
	b.text, b.version = nil, 0 // One distributor makes a change before it knows the loss.
	b.mu.Unlock()
	all[1].mustSucceed(all[1].PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{Weight: pointer(0.8)}))
	until(t, "the distributors agree", func() bool { return agree(all) })
	if all[0].weights() != "a1=0.6 ready, a2=0.8 ready" {
		t.Error(all[0].weights())
	}
	b.put([]byte(`{"version":2}`), 1000) // a version of a newer program
	until(t, "the first distributor reports that the settings are not synchronized", func() bool { return !all[0].Store().Synchronized })
	all[0].wantRefused(Internal)(all[0].Revert(t.Context(), operator, ""))
}

// A distributor that joins a cluster takes the settings of the cluster; the first distributor
// stores the settings that it had alone.
func TestJoiningACluster(t *testing.T) {
	b, alone, others := &bucket{}, start(t, ""), start(t, "")
	for i, r := range []*running{alone, others} {
		for range 5 * (i + 1) {
			r.mustSucceed(r.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{Weight: pointer(float64(r.Revision() + 10))}))
		}
		r.stop()
		r.share = b.share
	}
	alone.open()
	weight := alone.weights()
	others.open()
	until(t, "the distributors agree", func() bool { return others.weights() == weight && others.Revision() == alone.Revision() })
	if len(alone.Overrides()) != 1 {
		t.Errorf("%+v", alone.Overrides())
	}
	text, err := os.ReadFile(filepath.Join(others.dir, "data", storeFile))
	if err != nil || !strings.Contains(string(text), `"value": 15`) {
		t.Errorf("%s, %v", text, err)
	}
}
