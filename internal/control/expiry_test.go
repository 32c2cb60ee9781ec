package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
)

// An expiry while the distributor was stopped is reported with the values.
func TestExpiryWhileStopped(t *testing.T) {
	r := start(t, "")
	request := operator
	request.TTL = time.Hour
	r.mustSucceed(r.PatchSettings(t.Context(), request, map[string]json.RawMessage{"rate_limit": json.RawMessage("7")}))
	r.stop()
	path := filepath.Join(r.dir, "data", storeFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`"expires": "[^"]*"`).ReplaceAll(text, []byte(`"expires": "2020-01-01T00:00:00Z"`))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r.open()
	reported := 0
	for _, e := range r.Events().After(0, 100) {
		if e.Kind == "expired" {
			reported++
			if got := fmt.Sprintf("%s %s %s", e.Path, e.Old, e.New); got != "settings/rate_limit 7 0" {
				t.Error(got)
			}
		}
	}
	if reported != 1 {
		t.Errorf("reported %d times", reported)
	}
}

// An override that cannot be reverted does not delay other overrides.
func TestStuckExpiry(t *testing.T) {
	ctx := t.Context()
	r := start(t, "rate_limit: 100\n")
	briefly := operator
	briefly.TTL = time.Hour
	// The file's burst is the base of the override: without the override of the limit the burst is
	// invalid.
	r.mustSucceed(r.PatchSettings(ctx, operator, map[string]json.RawMessage{"rate_limit": json.RawMessage("0")}))
	r.mustSucceed(r.PatchSettings(ctx, briefly, map[string]json.RawMessage{"rate_limit": json.RawMessage("9")}))
	r.mustSucceed(r.PatchSettings(ctx, operator, map[string]json.RawMessage{"rate_burst": json.RawMessage("5")}))
	r.mustSucceed(r.PatchAnalyzer(ctx, briefly, "a2", AnalyzerPatch{Weight: pointer(0.9)}))
	r.expire(ctx, time.Now().Add(2*time.Hour))
	if got := r.weights(); got != "a1=0.6 ready, a2=0.4 ready" {
		t.Errorf("the weight is not reverted: %s", got)
	}
	if got := r.Config().Distributor.Rate; got.Rate != 9 || got.Burst != 5 {
		t.Errorf("%+v", got)
	}
}

// An override that expires while the distributor stops is no error: the next start reverts it.
func TestExpiryDuringAStop(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	briefly := operator
	briefly.TTL = time.Hour
	r.mustSucceed(r.PatchAnalyzer(ctx, briefly, "a2", AnalyzerPatch{Weight: pointer(0.9)}))
	_, _ = r.Distributor().Stop(context.Background())
	var log bytes.Buffer
	r.deps.Logger = slog.New(slog.NewTextHandler(&log, nil))
	r.expire(ctx, time.Now().Add(2*time.Hour))
	if log.Len() > 0 {
		t.Error(log.String())
	}
}

// A refused removal does not change the drain of the analyzer.
func TestRefusedRemovalDuringADrain(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	refuse := false
	r.deps.Prepare = func(Config) (commit, abort func(), err error) {
		if refuse {
			return nil, nil, errors.New("not now")
		}
		return nothing(Config{})
	}
	result := r.mustSucceed(r.PatchAnalyzer(ctx, operator, "a2", AnalyzerPatch{State: pointer(distributor.StateDrain)}))
	refuse = true
	if _, err := r.RemoveAnalyzer(ctx, operator, "a2", nil); err == nil {
		t.Fatal("the removal is not refused")
	}
	until(t, "the drain ends", func() bool {
		drain, ok := r.Drain("a2")
		return !ok || drain.Ended != nil
	})
	if drain, ok := r.Drain("a2"); !ok || drain.Operation != result.Operation || drain.Result != distributor.Drained {
		t.Errorf("%v, %+v", ok, drain)
	}
}
