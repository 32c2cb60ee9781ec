//go:build linux

package operate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// request sends a request to the admin API and decodes the response, unless it is a refusal.
func (d *distributor) request(method, path, body string, response any) (status int, err error) {
	status, text, err := d.exchange(method, path, body)
	if err == nil && status < 300 {
		err = json.Unmarshal(text, response)
	}
	return status, err
}

// refusal sends a request without a body and decodes the problem in its response.
func (d *distributor) refusal(method, path string, problem any) (status int, err error) {
	status, text, err := d.exchange(method, path, "")
	if err == nil {
		err = json.Unmarshal(text, problem)
	}
	return status, err
}

func (d *distributor) exchange(method, path, body string) (status int, text []byte, err error) {
	r, err := http.NewRequest(method, "http://"+d.admin+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	text, err = io.ReadAll(response.Body)
	return response.StatusCode, text, err
}

// changes makes revisions one after the other until the process is killed: revision n gives the
// analyzer the weight n if n is even, and otherwise two settings the value n. It returns the last
// revision with a response.
func (d *distributor) changes(from int64) (answered int64) {
	answered = from
	for {
		var result struct{ Revision int64 }
		path, body := "/v1/analyzers/analyzer-1", fmt.Sprintf(`{"weight":%d}`, answered+1)
		if answered%2 == 0 {
			path, body = "/v1/settings", fmt.Sprintf(`{"max_failures":%d,"sender_retries":%[1]d}`, answered+1)
		}
		status, err := d.request(http.MethodPatch, path, body, &result)
		if err != nil {
			return answered // killed
		}
		if status != http.StatusOK || result.Revision != answered+1 {
			d.Errorf("status %d, revision %d after %d", status, result.Revision, answered)
			return answered
		}
		answered = result.Revision
	}
}

// After kill -9 between and during changes the last revision with a response is in effect, or the
// one in flight, as a whole.
func TestKillBetweenChanges(t *testing.T) {
	a := analyzertest.New(t)
	d := start(t, a.URL()+"=1", "-journal", "disk")
	arguments := d.command.Args
	var current struct{ Revision int64 }
	if _, err := d.request(http.MethodGet, "/v1/status", "", &current); err != nil {
		t.Fatal(err)
	}
	revision := current.Revision
	for range times(10, 50) {
		killed := time.AfterFunc(time.Duration(20+rand.IntN(150))*time.Millisecond, func() { _ = d.command.Process.Kill() })
		answered := d.changes(revision)
		killed.Stop()
		<-d.ended
		d.command = exec.Command(arguments[0], arguments[1:]...)
		d.run()
		var after struct {
			Revision  int64
			Analyzers []struct{ Spec struct{ Weight float64 } }
		}
		if status, err := d.request(http.MethodGet, "/v1/analyzers", "", &after); err != nil || status != http.StatusOK || len(after.Analyzers) != 1 {
			t.Fatalf("%d, %v, %+v", status, err, after)
		}
		if after.Revision != answered && after.Revision != answered+1 {
			t.Errorf("revision %d after %d was answered", after.Revision, answered)
		}
		even := after.Revision &^ 1
		if got := after.Analyzers[0].Spec.Weight; after.Revision > 1 && got != float64(even) {
			t.Errorf("revision %d has the weight %g", after.Revision, got)
		}
		var s struct {
			Settings map[string]struct{ Value any }
		}
		if status, err := d.request(http.MethodGet, "/v1/settings", "", &s); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		odd := (after.Revision - 1) | 1
		if failures, retries := s.Settings["max_failures"].Value, s.Settings["sender_retries"].Value; after.Revision > 2 && (failures != float64(odd) || retries != float64(odd)) {
			t.Errorf("revision %d has the settings %v and %v", after.Revision, failures, retries)
		}
		revision = after.Revision
	}
	if revision == current.Revision {
		t.Error("no change was made")
	}
	t.Logf("%d revisions", revision)
}

// An upgrade through the admin API responds before the new binary takes over, on the same admin
// address, with the changes made before and their events.
func TestUpgradeThroughTheAPI(t *testing.T) {
	a := analyzertest.New(t)
	d := start(t, a.URL()+"=1", "-journal", "disk")
	var result struct{ Revision int64 }
	if status, err := d.request(http.MethodPatch, "/v1/analyzers/analyzer-1", `{"weight":7}`, &result); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	l := startLoad(t, d.ingest, 8)
	if status, err := d.request(http.MethodPost, "/v1/upgrade", "", new(any)); err != nil || status != http.StatusAccepted {
		t.Fatal(status, err)
	}
	d.awaitLog("the upgrade is complete", 1)
	var after struct {
		Revision  int64
		Analyzers []struct{ Spec struct{ Weight float64 } }
	}
	if _, err := d.request(http.MethodGet, "/v1/analyzers", "", &after); err != nil || after.Revision != result.Revision || after.Analyzers[0].Spec.Weight != 7 {
		t.Errorf("%v, %+v after revision %d", err, after, result.Revision)
	}
	var reported struct{ Events []struct{ Path string } }
	if _, err := d.request(http.MethodGet, "/v1/events", "", &reported); err != nil || len(reported.Events) != 1 || reported.Events[0].Path != "analyzers/analyzer-1/weight" {
		t.Errorf("%v, %+v", err, reported)
	}
	l.end(a)
	d.stop()
}
