package control

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/distributor"
)

// forge makes a newer revision in a bucket, as anybody who may write it can.
func (b *bucket) forge(t *testing.T, edit func(content map[string]any)) {
	t.Helper()
	var content map[string]any
	if err := json.Unmarshal(b.text, &content); err != nil {
		t.Fatal(err)
	}
	content["revision"] = content["revision"].(float64) + 1
	edit(content)
	text, _ := json.Marshal(content) // it was JSON
	b.put(text, b.version+1)
}

// Shared settings with a token file that no distributor has configured are applied neither while a
// distributor runs nor at its start: whoever may write the bucket could have any file sent to any URL.
func TestSharedTokenFile(t *testing.T) {
	b, all := startCluster(t, "")
	r, token := all[0], filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "vlogs+" + r.analyzers[2].URL()
	r.mustSucceed(r.AddAnalyzer(t.Context(), operator, distributor.Target{ID: "logs", URL: url, Weight: 1}))
	b.forge(t, func(content map[string]any) {
		content["overrides"].([]any)[0].(map[string]any)["value"].(map[string]any)["url"] = url + "?token_file=" + token
	})
	for _, stopped := range []bool{false, true} {
		if stopped {
			r.stop()
		}
		if stopped {
			r.open()
		}
		until(t, "the distributor reports that the settings are not applied", func() bool { return strings.Contains(r.Store().Detail, "token_file") })
		for _, target := range r.Config().Distributor.Targets {
			if target.ID == "logs" && target.URL != url {
				t.Errorf("stopped %v: %s", stopped, target.URL)
			}
		}
	}
}

// Shared overrides of settings that the API does not change have no effect, at a start either.
func TestSharedOverridesOfOtherSettings(t *testing.T) {
	b, all := startCluster(t, "admin_token: token-of-operators\nautoscale: command\nautoscale_command: 'true {desired}'\n")
	r := all[0]
	r.mustSucceed(r.PatchSettings(t.Context(), operator, map[string]json.RawMessage{"rate_limit": json.RawMessage("3")}))
	forged := map[string]any{"settings/admin_token": "token-of-others", "settings/autoscale_command": "/bin/rm {desired}", "settings/limits": []any{}}
	b.forge(t, func(content map[string]any) {
		list := content["overrides"].([]any)
		for path, value := range forged {
			list = append(list, map[string]any{"path": path, "value": value, "base": nil, "time": time.Now()})
		}
		content["overrides"] = list
	})
	for _, stopped := range []bool{false, true} {
		if stopped {
			r.stop()
			r.open()
		}
		until(t, "the distributor has the forged revision", func() bool { return len(r.Overrides()) == 1+len(forged) })
		for _, one := range r.Overrides() {
			if _, isForged := forged[one.Path]; isForged != (one.Idle != "") {
				t.Errorf("stopped %v: %+v", stopped, one)
			}
		}
		if c := r.Config(); c.Admin.Token != "token-of-operators" || c.Distributor.Autoscale.Command != "true {desired}" || c.Distributor.Rate.Rate != 3 {
			t.Errorf("stopped %v: %s, %s, %v", stopped, c.Admin.Token, c.Distributor.Autoscale.Command, c.Distributor.Rate.Rate)
		}
	}
}
