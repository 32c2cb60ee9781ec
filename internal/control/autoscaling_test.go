//go:build unix

package control

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/events"
)

// scaledEvents returns the events of changes of the number of analyzers.
func (r *running) scaledEvents() (found []events.Event) {
	for _, e := range r.Events().After(0, 1000) {
		if strings.HasPrefix(e.Kind, "autoscale") {
			found = append(found, e)
		}
	}
	return found
}

// While AUTOSCALE is command, the command runs when the desired number changes. The events have the
// output of the command, once for each number and result, and report a change without an effect.
func TestAutoscale(t *testing.T) {
	r := start(t, "")
	r.stop()
	script, calls := filepath.Join(r.dir, "scale"), filepath.Join(r.dir, "calls")
	text := fmt.Sprintf("#!/bin/sh\necho \"$*\" >> %s\necho \"token ${ADMIN_TOKEN-hidden}\"\ntest ! -e %s/broken\n", calls, r.dir)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ADMIN_TOKEN", "secret-of-operators")
	r.write(r.twoAnalyzers() + "autoscale_min: 5\nautoscale_cooldown_sec: 1\nautoscale_command: " + script + " {group} {current} {desired}\n")
	r.open()
	called := func() int {
		text, _ := os.ReadFile(calls)
		return strings.Count(string(text), "\n")
	}
	until(t, "a number is desired", func() bool { return len(r.Distributor().Scale()) == 1 })
	if called() != 0 {
		t.Error("the command ran while AUTOSCALE was off")
	}
	r.mustSucceed(r.PatchSettings(t.Context(), operator, map[string]json.RawMessage{"autoscale": json.RawMessage(`"command"`)}))
	until(t, "the command has run twice", func() bool { return r.scaling.succeeded.Load() >= 2 })
	if text, _ := os.ReadFile(calls); !strings.HasPrefix(string(text), "default 2 5\n") {
		t.Errorf("%s", text)
	}
	until(t, "its end is reported, and that it had no effect", func() bool { return len(r.scaledEvents()) == 2 })
	if e := r.scaledEvents()[1]; e.Kind != "autoscale_failed" || e.Detail.(scaled).Error != errNoEffect.Error() {
		t.Errorf("%+v", e)
	}
	e := r.scaledEvents()[0]
	if e.Kind != "autoscaled" || e.Path != "analyzers/default" || e.Old != 2 || e.New != 5 || e.Result != "applied" || !strings.Contains(e.Reason, "AUTOSCALE_MIN is 5") {
		t.Errorf("%+v", e)
	}
	if detail := e.Detail.(scaled); detail.Output != "token hidden" || detail.Error != "" {
		t.Errorf("%+v", detail)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, "its failures are counted", func() bool { return r.scaling.failed.Load() > 1 })
	if all := r.scaledEvents(); len(all) != 3 || all[2].Kind != "autoscale_failed" || all[2].Detail.(scaled).Error != "exit status 1" {
		t.Errorf("%+v", all)
	}
	// A caller who may change settings may not choose programs.
	r.wantRefused(RestartRequired)(r.PatchSettings(t.Context(), operator, map[string]json.RawMessage{"autoscale_command": json.RawMessage(`"rm {desired}"`)}))
}

// The report of a group that is gone is forgotten.
func TestReportsOfGroups(t *testing.T) {
	r := start(t, "")
	until(t, "a number is desired", func() bool { return len(r.Distributor().Scale()) == 1 })
	r.scaling.noteReport("release-1", report{desired: 2, err: "exit status 1"})
	r.scaling.drive(t.Context())
	if !r.scaling.noteReport("release-1", report{desired: 2, err: "exit status 1"}) {
		t.Error("it is still known")
	}
}

func TestWithoutSecrets(t *testing.T) {
	settings := config.New(DefaultConfig(), func(string) (string, bool) { return "", false }).Settings
	got := withoutSecrets([]string{"PATH=/bin", "ADMIN_TOKEN=x", "FORWARD_SHARED_KEY=y", "PORT=1"}, settings)
	if text := strings.Join(got, " "); text != "PATH=/bin PORT=1" {
		t.Error(text)
	}
}
