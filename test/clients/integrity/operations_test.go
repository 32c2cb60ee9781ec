package integrity

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
	"github.com/logstreamer/logstreamer/test/ports"
)

// While all sources send, analyzers are drained, taken out, removed and added again, dead letters
// are replayed, packets are tapped, settings change, the process is replaced and, with a journal on
// disk, killed.
func TestOperations(t *testing.T) {
	for _, journal := range []string{"memory", "disk"} {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			l.operated = true
			free, err := ports.Free(1)
			if err != nil {
				t.Fatal(err)
			}
			admin := fmt.Sprintf("127.0.0.1:%d", free[0])
			d := harness.StartFor(t, analyzers(t, l, true), inputs, "JOURNAL="+journal, "SENDER_TIMEOUT_MS=500", "ADMIN_ADDR="+admin,
				"EXPLAIN=on", "DRAIN_TIMEOUT_SEC=0.2", "DRAIN_SEC=0", "MEMORY_LIMIT_BYTES=67108864", `LIMITS=[{"emitter":"limited","rate":50,"burst":50}]`)
			o := &operator{T: t, d: d, url: "http://" + admin, ledger: l, journal: journal}
			sendAll(t, d, l, o.operate)
			o.settle()
			defer func() {
				if t.Failed() {
					t.Logf("%d accepted messages have not arrived, such as %s", l.missing(), l.describe())
				}
			}()
			d.Await("all accepted messages arrive, or are dead letters", func() bool {
				o.takeDeadLetters()
				return l.missing() == 0
			})
			o.balances()
			d.Stop()
			l.report()
		})
	}
}

// operator operates a distributor by its admin API and by signals.
type operator struct {
	*testing.T
	d       *harness.Distributor
	url     string
	ledger  *ledger
	journal string
	removed []map[string]any // analyzers
	client  http.Client
}

// call makes a request of the admin API. It returns nil if there is no response, since the process
// is being replaced, or if the request is refused.
func (o *operator) call(method, path string, body any) (decoded map[string]any) {
	text, _ := json.Marshal(body) // maps and texts
	r, err := http.NewRequest(method, o.url+path, bytes.NewReader(text))
	if err != nil {
		o.Error(err)
		return nil
	}
	if method == http.MethodPatch || method == http.MethodPost || method == http.MethodPut {
		r.Header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			r.Header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	response, err := o.client.Do(r)
	if err != nil {
		return nil
	}
	defer response.Body.Close()
	content, _ := io.ReadAll(response.Body)
	if response.StatusCode >= http.StatusInternalServerError && response.StatusCode != http.StatusServiceUnavailable {
		o.Errorf("%s %s: %d %.300s", method, path, response.StatusCode, content)
	}
	if response.StatusCode >= http.StatusBadRequest || json.Unmarshal(content, &decoded) != nil {
		return nil
	}
	return decoded
}

// operate executes one operation after the other until ctx ends.
func (o *operator) operate(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() {
		for ctx.Err() == nil && !o.Failed() {
			o.watch(ctx)
		}
	})
	actions := []func(){o.changeState, o.changeState, o.remove, o.add, o.add, o.pause, o.replay, o.replay, o.reload, o.upgrade, o.limit}
	if o.journal == "disk" {
		actions = append(actions, o.kill)
	}
	for ctx.Err() == nil && !o.Failed() {
		actions[rand.IntN(len(actions))]()
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
	}
}

// ids returns the ids of the analyzers.
func (o *operator) analyzers() (all []map[string]any) {
	response := o.call("GET", "/v1/analyzers", nil)
	listed, _ := response["analyzers"].([]any)
	for _, one := range listed {
		analyzer := one.(map[string]any)
		spec := analyzer["spec"].(map[string]any)
		spec["id"] = analyzer["id"]
		all = append(all, spec)
	}
	return all
}

func (o *operator) changeState() {
	if all := o.analyzers(); len(all) > 0 {
		one := all[rand.IntN(len(all))]
		state := []string{"ready", "ready", "drain", "maint"}[rand.IntN(4)]
		o.call("PATCH", "/v1/analyzers/"+one["id"].(string), map[string]any{"state": state})
	}
}

func (o *operator) remove() {
	if all := o.analyzers(); len(all) > 4 {
		one := all[rand.IntN(len(all))]
		if o.call("DELETE", "/v1/analyzers/"+one["id"].(string), nil) != nil {
			one["state"] = "ready"
			o.removed = append(o.removed, one)
		}
	}
}

func (o *operator) add() {
	if len(o.removed) > 0 && o.call("POST", "/v1/analyzers", o.removed[0]) != nil {
		o.removed = o.removed[1:]
	}
}

func (o *operator) pause() {
	setting, value := "INTAKE", "paused"
	if rand.IntN(2) == 0 {
		setting = "DISPATCH"
	}
	o.call("PATCH", "/v1/settings", map[string]any{setting: value})
	time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
	o.resume()
}

func (o *operator) resume() {
	o.call("PATCH", "/v1/settings", map[string]any{"INTAKE": "open", "DISPATCH": "running"})
}

func (o *operator) limit() {
	o.call("PATCH", "/v1/settings", map[string]any{"MEMORY_LIMIT_BYTES": []string{"64MiB", "48MiB", "96MiB"}[rand.IntN(3)]})
}

func (o *operator) replay() {
	response := o.call("GET", "/v1/dead-letters?limit=200", nil)
	listed, _ := response["dead_letters"].([]any)
	var ids []string
	for _, one := range listed {
		if letter := one.(map[string]any); letter["replayed"] == false && rand.IntN(2) == 0 {
			ids = append(ids, letter["id"].(string))
		}
	}
	if len(ids) > 0 {
		o.call("POST", "/v1/dead-letters/replay", map[string]any{"ids": ids, "rate": 200})
	}
}

func (o *operator) reload() { o.d.Signal(syscall.SIGHUP) }

func (o *operator) upgrade() {
	o.d.Signal(syscall.SIGUSR2)
	time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
}

func (o *operator) kill() {
	if rand.IntN(3) == 0 {
		o.d.Restart()
	}
}

// watch reads a tap and checks its packets.
func (o *operator) watch(ctx context.Context) {
	r, err := http.NewRequestWithContext(ctx, "GET", o.url+"/v1/tap?bodies=true", nil)
	if err != nil {
		o.Error(err)
		return
	}
	response, err := o.client.Do(r)
	if err != nil {
		time.Sleep(20 * time.Millisecond)
		return
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data:")
		var shown struct {
			Packet  json.RawMessage `json:"packet"`
			Emitter string          `json:"emitter_id"`
			Stage   string          `json:"stage"`
		}
		if found && json.Unmarshal([]byte(data), &shown) == nil && shown.Packet != nil && shown.Stage != "refused" {
			o.ledger.tokens(shown.Packet, false, shown.Emitter)
		}
	}
}

// settle makes all analyzers ready.
func (o *operator) settle() {
	o.d.Await("the distributor is operated", func() bool {
		o.resume()
		for _, one := range o.analyzers() {
			if one["state"] != "ready" {
				o.call("PATCH", "/v1/analyzers/"+one["id"].(string), map[string]any{"state": "ready"})
			}
		}
		for len(o.removed) > 0 && o.call("POST", "/v1/analyzers", o.removed[0]) != nil {
			o.removed = o.removed[1:]
		}
		all := o.analyzers()
		for _, one := range all {
			if one["state"] != "ready" {
				return false
			}
		}
		return len(all) > 0 && len(o.removed) == 0
	})
}

// takeDeadLetters counts the messages of dead letters that were not replayed as delivered.
func (o *operator) takeDeadLetters() {
	text, err := o.d.Command("journal", "export", "-dead-letters", "-data-dir", o.d.DataDir).Output()
	if err != nil {
		o.Errorf("dead letters cannot be exported: %v", err)
	}
	for line := range bytes.Lines(text) {
		var letter struct{ Packet json.RawMessage }
		if err := json.Unmarshal(line, &letter); err != nil {
			o.Errorf("%v: %.300q", err, line)
		}
		for _, id := range o.ledger.tokens(letter.Packet, false, "") {
			o.ledger.arrived(id)
		}
	}
}

// balances checks that the distributor accounts for all messages.
func (o *operator) balances() {
	o.d.Await("all messages are accounted for", func() bool {
		response, err := http.Get(o.d.URL + "/ledger")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		var ledger struct {
			Unaccounted *int64 `json:"unaccounted_messages"`
		}
		content, _ := io.ReadAll(response.Body)
		if json.Unmarshal(content, &ledger) != nil || ledger.Unaccounted == nil {
			o.Errorf("%s", content)
			return true
		}
		if *ledger.Unaccounted != 0 {
			o.Errorf("%s", content)
		}
		return true
	})
}
