//go:build linux

package cluster

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// The rows of the settings that distributors share.

// response is a response of the admin API.
type response struct {
	status int
	etag   string
	text   string
	body   map[string]any
}

// get returns a value of the body; keys are separated by dots, and may be indexes.
func (a response) get(path string) any {
	value := any(a.body)
	for key := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[key]
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(v) {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	return value
}

// ask makes a request of the admin API; without a response the status is 0.
func (d *distributor) ask(method, path, body, ifMatch string) (a response) {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.admin+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if ifMatch != "" {
		request.Header.Set("If-Match", ifMatch)
	}
	resp, err := client.Do(request)
	if err != nil {
		return response{text: err.Error()}
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body) // a part is not JSON
	a = response{status: resp.StatusCode, etag: resp.Header.Get("ETag"), text: string(text)}
	_ = json.Unmarshal(text, &a.body)
	return a
}

// must makes a request of the admin API and requires a status.
func (d *distributor) must(status int, method, path, body string) response {
	d.t.Helper()
	got := d.ask(method, path, body, "")
	if got.status != status {
		d.t.Fatalf("%s %s %s: %s: %d %s, want %d", d.name, method, path, body, got.status, got.text, status)
	}
	return got
}

// weight returns the weight and the state of the second analyzer, and the revision.
func (d *distributor) weight() string {
	got := d.ask("GET", "/v1/analyzers", "", "")
	return fmt.Sprintf("%v %v %v", got.get("analyzers.1.spec.weight"), got.get("analyzers.1.spec.state"), got.get("revision"))
}

// agree waits until weight has changed, and is the same at all distributors.
func (y *system) agree(before string) (now string) {
	y.t.Helper()
	await(y.t, "all distributors have the change", func() bool {
		now = y.distributors[0].weight()
		for _, d := range y.distributors[1:] {
			if d.weight() != now {
				return false
			}
		}
		return now != before && !strings.Contains(now, "nil")
	})
	return now
}

// Settings are changed at two distributors at once: one change is made, and applies at all
// distributors; the other one is answered 412 with the revision of the first.
func TestSettingsChangedAtOnce(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 3, distributors: 3})
	now := y.agree("")
	maxTime := time.Duration(0)
	for round := range 10 {
		etag := y.distributors[2].must(200, "GET", "/v1/status", "").etag
		responses := make([]response, 2)
		var changing sync.WaitGroup
		began := time.Now()
		for i, d := range y.distributors[:2] {
			changing.Go(func() {
				responses[i] = d.ask("PATCH", "/v1/analyzers/analyzer-2", fmt.Sprintf(`{"weight":%d}`, 2*round+i+1), etag)
			})
		}
		changing.Wait()
		first, second := responses[0], responses[1]
		if first.status != 200 {
			first, second = second, first
		}
		if first.status != 200 || second.status != 412 || second.get("code") != "stale_revision" || second.get("revision") != first.get("revision") {
			t.Fatalf("%+v\n%+v", first, second)
		}
		now = y.agree(now)
		maxTime = max(maxTime, time.Since(began))
	}
	t.Logf("a change held at all distributors within %v", maxTime.Round(time.Millisecond))
	y.finish()
}

// A distributor that starts without NATS has its previous settings, reports so, and refuses
// changes; when NATS returns it gets the changes that were made meanwhile.
func TestStartWithoutNATS(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{kills: true, servers: 1, distributors: 2})
	one, other := y.distributors[0], y.distributors[1]
	before := y.agree("")
	one.must(202, "PATCH", "/v1/analyzers/analyzer-2", `{"state":"drain"}`)
	before = y.agree(before)
	other.kill()
	one.must(200, "PATCH", "/v1/analyzers/analyzer-2", `{"weight":7}`)
	y.servers[0].Kill()
	refused := response{}
	await(t, "a change is refused", func() bool {
		refused = one.ask("PATCH", "/v1/analyzers/analyzer-2", `{"weight":8}`, "")
		return refused.status == 503
	})
	if refused.get("code") != "unavailable" || !strings.Contains(refused.text, "NATS") {
		t.Errorf("%+v", refused)
	}
	other.launch()
	await(t, "it starts", func() bool { return other.ask("GET", "/v1/status", "", "").status == 200 })
	if got := other.weight(); got != before {
		t.Errorf("it has %s, not %s", got, before)
	}
	status := other.ask("GET", "/v1/status", "", "")
	if status.get("settings.shared") != true || status.get("settings.synchronized") != false || !strings.Contains(fmt.Sprint(status.get("settings.detail")), "NATS") {
		t.Errorf("%s", status.text)
	}
	if got := other.ask("PATCH", "/v1/analyzers/analyzer-2", `{"weight":9}`, ""); got.status != 503 {
		t.Errorf("%+v", got)
	}
	log, err := os.ReadFile(other.log())
	if told := strings.Count(string(log), "shared settings cannot be reached"); err != nil || told != 1 || !strings.Contains(other.ask("GET", "/v1/events", "", "").text, "settings_unreachable") {
		t.Errorf("it is told %d times, %v", told, err)
	}
	y.servers[0].Restart()
	if now := y.agree(before); !strings.HasPrefix(now, "7 drain ") {
		t.Error(now)
	}
	await(t, "a change is made again", func() bool {
		return one.ask("PATCH", "/v1/analyzers/analyzer-2", `{"state":"ready"}`, "").status == 200
	})
	y.finish()
}

// Distributors are killed while settings are changed at all of them: changes that were answered
// with a revision apply, at all distributors, in one revision.
func TestKilledBetweenChanges(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{kills: true, servers: 1, distributors: 3})
	for round := range rounds(20) + 2 {
		victim := y.distributors[rand.IntN(3)]
		var mu sync.Mutex // guards last
		last, lastBody := 0.0, ""
		var changing sync.WaitGroup
		stop := make(chan struct{})
		for i, d := range y.distributors {
			changing.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					weight := float64(1 + 1000*round + 3*n + i)
					got := d.ask("PATCH", "/v1/analyzers/analyzer-2", fmt.Sprintf(`{"weight":%v}`, weight), "")
					if got.status == 0 {
						return // it was killed
					}
					revision, _ := got.get("revision").(float64)
					mu.Lock()
					if got.status == 200 && revision > last {
						last, lastBody = revision, fmt.Sprint(weight)
					}
					mu.Unlock()
				}
			})
		}
		y.emitters.awaitMore(t, 100)
		victim.kill()
		y.emitters.awaitMore(t, 100)
		close(stop)
		changing.Wait()
		victim.start()
		now := y.agree("")
		revision := 0.0
		_, _ = fmt.Sscan(now[strings.LastIndex(now, " ")+1:], &revision)
		if revision < last || revision == last && !strings.HasPrefix(now, lastBody+" ") || revision > last+1 { // one more may have been stored without a response
			t.Errorf("all have %s; revision %v was answered last, with the weight %s", now, last, lastBody)
		}
	}
	y.finish()
}

// The cluster's page has each distributor once, and their sum equals the responses to emitters.
func TestClusterPage(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 3, environment: []string{"RATE_LIMIT_SCOPE=cluster", "RATE_LIMIT=9000000"}})
	await(t, "each knows all", func() bool {
		for _, d := range y.distributors {
			if d.ask("GET", "/v1/cluster", "", "").get("sum.distributors") != 3.0 {
				return false
			}
		}
		return true
	})
	y.emitters.halt()
	accepted := y.emitters.count.Load()
	var got response
	await(t, "all is delivered", func() bool {
		got = y.distributors[1].ask("GET", "/v1/cluster", "", "")
		return got.get("sum.ledger.accepted.packets") == float64(accepted) && got.get("sum.ledger.delivered.packets") == float64(accepted) && got.get("stored.envelopes") == 0.0
	})
	responses := 0
	for i := range 3 {
		at := fmt.Sprintf("distributors.%d.", i)
		if got.get(at+"answers") == true {
			responses++
			if got.get(at+"admin") != y.distributors[1].admin || got.get(at+"name") != got.get("answered_by") {
				t.Errorf("%s", got.text)
			}
		}
	}
	if responses != 1 || got.get("sum.ledger.unaccounted_messages") != 0.0 {
		t.Errorf("%s", got.text)
	}
	y.distributors[0].stop()
	await(t, "one that stops is gone", func() bool {
		return y.distributors[1].ask("GET", "/v1/cluster", "", "").get("sum.distributors") == 2.0
	})
	y.distributors[2].kill()
	await(t, "one that is killed is gone", func() bool {
		return y.distributors[1].ask("GET", "/v1/cluster", "", "").get("sum.distributors") == 1.0
	})
	y.finish()
}

// shares are the metrics of a distributor's split of messages.
type shares struct {
	messages, deviation, target, effective map[string]float64 // by analyzer
	limit                                  float64
}

// settled reports whether every analyzer has its configured share.
func (s shares) settled() bool {
	for id, target := range s.target {
		if math.Abs(s.effective[id]-target) > 1e-9 {
			return false
		}
	}
	return len(s.target) == len(weights)
}

// scrape returns the shares.
func (d *distributor) scrape() (s shares) {
	d.t.Helper()
	scraper := &http.Client{Timeout: time.Minute, Transport: client.Transport}
	response, err := scraper.Get("http://" + d.metrics + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	values := func(name string) map[string]float64 {
		all := make(map[string]float64)
		for _, m := range families[name].GetMetric() {
			all[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
		return all
	}
	return shares{
		values("distributor_messages_by_analyzer_total"), values("distributor_share_deviation_messages"),
		values("distributor_share_target_ratio"), values("distributor_share_effective_ratio"),
		families["distributor_share_deviation_limit_messages"].GetMetric()[0].GetGauge().GetValue(),
	}
}

// Three distributors route packets of mixed sizes: at every scrape each analyzer's messages are
// within the limit of its share of the sum.
func TestSharesOfAClusterHoldAtEveryScrape(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 3, environment: patient})
	y.checkSplit()
	y.finish()
}

// Changes by operators survive the loss of all data of the servers.
func TestServersLoseTheSettings(t *testing.T) {
	t.Parallel()
	y := newSystem(t, setup{servers: 1, distributors: 2})
	before := y.agree("")
	y.distributors[0].must(200, "PATCH", "/v1/analyzers/analyzer-2", `{"weight":7}`)
	before = y.agree(before)
	y.finish()
	y.servers[0].Kill()
	y.servers[0].LoseData()
	y.servers[0].Restart()
	y.distributors[1].kill()
	y.distributors[1].start()
	await(t, "both have the settings", func() bool {
		return y.distributors[0].weight() == before && y.distributors[1].weight() == before &&
			y.distributors[0].ask("GET", "/v1/status", "", "").get("settings.synchronized") == true
	})
	y.distributors[1].must(200, "PATCH", "/v1/analyzers/analyzer-2", `{"weight":8}`)
	y.agree(before)
}
