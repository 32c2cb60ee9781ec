package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/logging"
)

// running is a controller with its distributor and two analyzers, a1 and a2.
type running struct {
	*Controller
	t         *testing.T
	dir       string
	env       map[string]string
	analyzers []*analyzertest.Analyzer
	share     func(Config) (Document, error)
	stop      func()
	halted    func() // called by stop between the end of the controller and that of the distributor
}

// start starts a controller. The file has the analyzers and these lines.
func start(t *testing.T, lines string) *running {
	t.Helper()
	r := prepare(t)
	r.write(r.twoAnalyzers() + lines)
	r.open()
	return r
}

// prepare returns a controller that is not started, with three analyzers.
func prepare(t *testing.T) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), env: make(map[string]string)}
	for range 3 {
		r.analyzers = append(r.analyzers, analyzertest.New(t))
	}
	return r
}

func (r *running) twoAnalyzers() string {
	return fmt.Sprintf("analyzers: [{id: a1, url: '%s', weight: 0.6}, {id: a2, url: '%s', weight: 0.4}]\n", r.analyzers[0].URL(), r.analyzers[1].URL())
}

func (r *running) write(file string) {
	r.t.Helper()
	text := fmt.Sprintf("port: 0\nlisten_addr: 127.0.0.1\nmetrics_addr: 127.0.0.1:0\ndrain_sec: 0\ndata_dir: %s\n%s", filepath.Join(r.dir, "data"), file)
	if err := os.WriteFile(filepath.Join(r.dir, "c.yaml"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// open opens the controller as a start of the process does.
func (r *running) open() {
	r.t.Helper()
	loader := config.New(DefaultConfig(), func(name string) (string, bool) {
		text, ok := r.env[name]
		return text, ok
	})
	loader.File = filepath.Join(r.dir, "c.yaml")
	logger := slog.New(slog.DiscardHandler)
	c, err := Open(loader, Dependencies{Logger: logger, Log: logging.New(io.Discard, logging.DefaultConfig()), Prepare: nothing, Share: r.share})
	if err != nil {
		r.t.Fatal(err)
	}
	d, err := distributor.New(c.Config().Distributor, logger)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.Attach(d, prometheus.NewRegistry()); err != nil {
		r.t.Fatal(err)
	}
	d.Start(r.t.Context())
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() {
		c.Run(ctx)
		close(done)
	}()
	r.Controller = c
	var stopped bool
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-done
		if r.halted != nil {
			r.halted()
		}
		_, _ = d.Stop(context.Background())
		c.Close()
	}
	r.t.Cleanup(func() { r.stop() })
}

func nothing(Config) (commit, abort func(), err error) { return func() {}, func() {}, nil }

func (r *running) weights() string {
	var text []string
	for _, target := range r.Distributor().Config().Targets {
		text = append(text, fmt.Sprintf("%s=%g %s", target.ID, target.Weight, target.State))
	}
	return strings.Join(text, ", ")
}

func pointer[T any](value T) *T { return &value }

func (r *running) mustSucceed(result Result, err error) Result {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	return result
}

// wantRefused notes the revision before a change; the function that it returns checks that the
// change was refused with the code, and made no revision.
func (r *running) wantRefused(code Code) func(Result, error) {
	r.t.Helper()
	before := r.Revision()
	return func(_ Result, err error) {
		r.t.Helper()
		var refusal *Error
		if !errors.As(err, &refusal) || refusal.Code != code {
			r.t.Errorf("%v, want %s", err, code)
		}
		if r.Revision() != before {
			r.t.Error("a refused change made a revision")
		}
	}
}

var operator = Request{Actor: Actor{Name: "ann", Role: "operate", Address: "127.0.0.1"}, Reason: "a test"}

// until waits until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		case <-ticker.C:
		}
	}
}

// Each change is a revision, is applied to the distributor, and holds after a restart.
func TestChangesSurviveRestarts(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	first := r.Revision()
	result := r.mustSucceed(r.PatchAnalyzer(ctx, operator, "a2", AnalyzerPatch{Weight: pointer(0.3)}))
	if len(result.Changed) != 1 || result.Changed[0].Path != "analyzers/a2/weight" || result.Revision != first+1 {
		t.Errorf("%+v", result)
	}
	r.mustSucceed(r.AddAnalyzer(ctx, operator, distributor.Target{URL: r.analyzers[2].URL(), Weight: 0.1}))
	r.mustSucceed(r.PatchSettings(ctx, operator, map[string]json.RawMessage{"rate_limit": json.RawMessage("1000"), "log_level": json.RawMessage(`"debug"`)}))
	r.mustSucceed(r.SetLimit(ctx, operator, Limit{Emitter: "web/1 ", Rate: 5, Burst: 10}))
	r.mustSucceed(r.PatchAnalyzer(ctx, operator, "a1", AnalyzerPatch{State: pointer("drain")}))
	const want = "a1=0.6 drain, a2=0.3 ready, analyzer-3=0.1 ready"
	for range 2 {
		if got := r.weights(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if got := r.Distributor().Config().Rate.Rate; got != 1000 || r.Config().Log.Level != "debug" {
			t.Errorf("rate limit %g, log level %s", got, r.Config().Log.Level)
		}
		if limits := r.Limits(); len(limits) != 1 || limits[0] != (Limit{"web/1 ", 5, 10}) {
			t.Errorf("%+v", limits)
		}
		if r.Revision() != first+5 || len(r.Overrides()) != 6 {
			t.Errorf("revision %d, overrides %+v", r.Revision(), r.Overrides())
		}
		r.stop()
		r.open()
	}
}

// A change to the present value makes no revision.
func TestNoChange(t *testing.T) {
	r := start(t, "")
	first := r.Revision()
	for range 2 {
		if result := r.mustSucceed(r.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{Weight: pointer(0.4)})); result.Revision != first || len(result.Changed) > 0 {
			t.Errorf("%+v, want revision %d", result, first)
		}
	}
}

// A dry run returns the result of the change and changes nothing.
func TestDryRun(t *testing.T) {
	r := start(t, "")
	request := operator
	request.DryRun = true
	result := r.mustSucceed(r.PatchAnalyzer(t.Context(), request, "a2", AnalyzerPatch{Weight: pointer(0.6)}))
	if !result.DryRun || len(result.Projected) != 2 || result.Projected[1].Share != 0.5 || result.Revision != r.Revision() {
		t.Errorf("%+v", result)
	}
	if got := r.weights(); got != "a1=0.6 ready, a2=0.4 ready" || len(r.Overrides()) != 0 {
		t.Error(got)
	}
}

// A change of analyzers that is stale, unknown, invalid or conflicting is refused with its code.
func TestAnalyzerChangeRefusals(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	request := operator
	request.IfMatch = r.Revision() + 7
	r.wantRefused(StaleRevision)(r.PatchAnalyzer(ctx, request, "a1", AnalyzerPatch{Weight: pointer(1.0)}))
	_, err := r.PatchAnalyzer(ctx, operator, "a9", AnalyzerPatch{Weight: pointer(1.0)})
	r.wantRefused(NotFound)(Result{}, err)
	if want := `there is no analyzer with the id "a9"; there are a1, a2`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	r.wantRefused(InvalidSetting)(r.PatchAnalyzer(ctx, operator, "a1", AnalyzerPatch{Weight: pointer(-1.0)}))
	r.wantRefused(InvalidSetting)(r.PatchAnalyzer(ctx, operator, "a1", AnalyzerPatch{State: pointer("off")}))
	r.wantRefused(Conflict)(r.AddAnalyzer(ctx, operator, distributor.Target{ID: "a1", URL: "http://x:1", Weight: 1}))
	r.wantRefused(InvalidSetting)(r.AddAnalyzer(ctx, operator, distributor.Target{URL: r.analyzers[0].URL(), Weight: 1}))
	r.wantRefused(InvalidSetting)(r.ReplaceAnalyzers(ctx, operator, nil))
}

func TestSettingRefusals(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	for key, want := range map[string]Code{"port": RestartRequired, "nonsense": NotFound, "admin_token": InvalidSetting, "analyzers": InvalidSetting, "max_failures": InvalidSetting} {
		r.wantRefused(want)(r.PatchSettings(ctx, operator, map[string]json.RawMessage{"rate_limit": json.RawMessage("7"), key: json.RawMessage("-5")}))
	}
	r.wantRefused(InvalidSetting)(r.PatchSettings(ctx, operator, map[string]json.RawMessage{"rate_burst": json.RawMessage("7")}))
	r.wantRefused(NotFound)(r.Revert(ctx, operator, "settings/rate_limit"))
}

// An override of an unknown object, or with an invalid action or TTL, is refused.
func TestOverrideRefusals(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	r.wantRefused(NotFound)(r.ClearLimit(ctx, operator, "nobody"))
	r.wantRefused(InvalidSetting)(r.Breaker(operator, "a1", "explode"))
	request := operator
	request.TTL = maxTTL + time.Second
	r.wantRefused(InvalidSetting)(r.Breaker(request, "a1", "open"))
	request.TTL = -time.Second
	r.wantRefused(InvalidSetting)(r.PatchAnalyzer(ctx, request, "a1", AnalyzerPatch{Weight: pointer(1.0)}))
}

// The last analyzer that receives packets can be drained only by force, and removed never.
func TestLastAnalyzerRefusals(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	r.mustSucceed(r.PatchAnalyzer(ctx, operator, "a1", AnalyzerPatch{State: pointer("maint")}))
	r.wantRefused(LastAnalyzer)(r.PatchAnalyzer(ctx, operator, "a2", AnalyzerPatch{State: pointer("drain")}))
	r.wantRefused(LastAnalyzer)(r.RemoveAnalyzer(ctx, operator, "a2", nil))
	request := operator
	request.Force = true
	r.mustSucceed(r.PatchAnalyzer(ctx, request, "a2", AnalyzerPatch{State: pointer("drain")}))
	r.mustSucceed(r.RemoveAnalyzer(ctx, operator, "a2", nil))
	r.wantRefused(LastAnalyzer)(r.RemoveAnalyzer(ctx, operator, "a1", nil))
}

// A change with a TTL reverts itself to the previous value.
func TestTTL(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	r.mustSucceed(r.PatchAnalyzer(ctx, operator, "a2", AnalyzerPatch{Weight: pointer(0.3)}))
	briefly := operator
	briefly.TTL = time.Millisecond
	r.mustSucceed(r.PatchAnalyzer(ctx, briefly, "a2", AnalyzerPatch{Weight: pointer(0.9)}))
	until(t, "the weight reverts", func() bool { return r.weights() == "a1=0.6 ready, a2=0.3 ready" })
	briefly.TTL = time.Hour
	r.mustSucceed(r.PatchAnalyzer(ctx, briefly, "a2", AnalyzerPatch{Weight: pointer(0.4)}))
	if r.Overrides()[0].Expires == nil || r.Overrides()[0].Beneath == nil {
		t.Errorf("%+v", r.Overrides())
	}
	r.mustSucceed(r.Revert(ctx, operator, "analyzers/a2/weight"))
	if len(r.Overrides()) != 0 || r.weights() != "a1=0.6 ready, a2=0.4 ready" {
		t.Errorf("%+v, %s", r.Overrides(), r.weights())
	}
}

// When a change of a whole list or of an item expires, the changes of its parts hold again.
func TestTTLOverParts(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	r.mustSucceed(r.PatchAnalyzer(ctx, operator, "a2", AnalyzerPatch{Weight: pointer(0.3)}))
	want := r.weights()
	briefly := operator
	briefly.TTL = time.Millisecond
	for name, change := range map[string]func() (Result, error){
		"list": func() (Result, error) {
			return r.ReplaceAnalyzers(ctx, briefly, []distributor.Target{{URL: r.analyzers[0].URL(), Weight: 1}, {URL: r.analyzers[1].URL(), Weight: 1}})
		},
		"item": func() (Result, error) { return r.RemoveAnalyzer(ctx, briefly, "a2", nil) },
	} {
		r.mustSucceed(change())
		until(t, "the "+name+" reverts", func() bool {
			now := r.Overrides()
			return len(now) > 0 && now[0].Expires == nil || len(now) == 0
		})
		if got := r.weights(); got != want {
			t.Errorf("after the %s: %s, want %s", name, got, want)
		}
	}
}

// A reload applies the whole file or nothing of it, and reports the settings without effect.
func TestReload(t *testing.T) {
	ctx := t.Context()
	r := start(t, "rate_limit: 10\n")
	r.env["RATE_LIMIT"] = "20"
	r.mustSucceed(r.PatchAnalyzer(ctx, operator, "a2", AnalyzerPatch{Weight: pointer(0.3)}))
	r.write(strings.Replace(r.twoAnalyzers(), "0.6", "0.7", 1) + "rate_limit: 30\nsender_timeout_ms: 800\n")
	result := r.mustSucceed(r.Reload(ctx, operator))
	if got := strings.Join(result.Shadowed, ", "); got != "RATE_LIMIT by environment, analyzers/a2/weight by override" {
		t.Error(got)
	}
	if got := r.Distributor().Config(); r.weights() != "a1=0.7 ready, a2=0.3 ready" || got.Rate.Rate != 20 || got.Analyzer.Timeout != 800*time.Millisecond || !r.LastReload().Success {
		t.Errorf("%s, %g, %v, %+v", r.weights(), got.Rate.Rate, got.Analyzer.Timeout, r.LastReload())
	}
	for file, want := range map[string]struct {
		code Code
		text string
	}{
		r.twoAnalyzers() + "rate_limit: many\n":                           {InvalidSetting, "rate_limit"},
		r.twoAnalyzers() + "sender_timeout_ms: 1\ndedupe_window_sec: 9\n": {RestartRequired, "dedupe_window_sec"},
		r.twoAnalyzers() + "sender_timeout_ms: 1\njournal: disk\n":        {RestartRequired, "journal"},
		strings.Replace(r.twoAnalyzers(), "id: a2", "id: a1", 1):          {InvalidSetting, "a1"},
		"sender_timeout_ms: 1\n":                                          {InvalidSetting, "ANALYZERS"},
		r.twoAnalyzers() + "sender_timeout_ms: 1\nunknown: 1\n":           {InvalidSetting, "unknown"},
		"{": {InvalidSetting, "c.yaml"},
		r.twoAnalyzers() + "sender_timeout_ms: 1\nadmin_addr: ':8081'\n": {InvalidSetting, "ADMIN_ADDR"},
	} {
		r.write(file)
		before := r.Distributor().Config()
		refused := r.wantRefused(want.code)
		result, err := r.Reload(ctx, operator)
		refused(result, err)
		if err == nil || !strings.Contains(err.Error(), want.text) || r.LastReload().Success || r.LastReload().Detail == "" {
			t.Errorf("%s\n%v, want one that names %s; %+v", file, err, want.text, r.LastReload())
		}
		if after := r.Distributor().Config(); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s changed %+v\nto %+v", file, before, after)
		}
	}
	r.write(strings.Replace(r.twoAnalyzers(), "0.4", "0.5", 1))
	r.mustSucceed(r.Reload(ctx, operator))
	if r.weights() != "a1=0.6 ready, a2=0.5 ready" || len(r.Overrides()) != 0 {
		t.Errorf("the file does not win over an override whose base changed: %s, %+v", r.weights(), r.Overrides())
	}
}

// A drain and a removal end with a proof, in the status and in an event.
func TestProofs(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	result := r.mustSucceed(r.PatchAnalyzer(ctx, operator, "a2", AnalyzerPatch{State: pointer("drain"), Deadline: pointer(time.Minute)}))
	ended := func(operation string) func() bool {
		return func() bool {
			drain, ok := r.Drain("a2")
			return ok && drain.Operation == operation && drain.Ended != nil
		}
	}
	until(t, "the drain ends", ended(result.Operation))
	if drain, _ := r.Drain("a2"); drain.Kind != "drain" || drain.Result != distributor.Drained || drain.Proof.Unaccounted != 0 {
		t.Errorf("%+v", drain)
	}
	result = r.mustSucceed(r.RemoveAnalyzer(ctx, operator, "a2", pointer(time.Second)))
	if result.Operation == "" {
		t.Errorf("%+v", result)
	}
	until(t, "the removal ends", ended(result.Operation))
	if drain, _ := r.Drain("a2"); drain.Kind != removal {
		t.Errorf("%+v", drain)
	}
	kinds := make(map[string]int)
	for _, e := range r.Events().After(0, 100) {
		kinds[e.Kind]++
		if e.Actor != "ann" {
			t.Errorf("%+v", e)
		}
	}
	if kinds["drained"] != 2 || kinds["analyzer_changed"] != 1 || kinds["analyzer_removed"] != 1 {
		t.Errorf("%v", kinds)
	}
}

// A change that cannot be stored is not made.
func TestUnstoredChange(t *testing.T) {
	r := start(t, "")
	data := filepath.Join(r.dir, "data")
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(data, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.wantRefused(Internal)(r.PatchAnalyzer(t.Context(), operator, "a2", AnalyzerPatch{Weight: pointer(0.3)}))
	if r.weights() != "a1=0.6 ready, a2=0.4 ready" {
		t.Error(r.weights())
	}
}

// The list can be replaced as a whole, and reverted.
func TestReplaceAnalyzers(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	r.mustSucceed(r.ReplaceAnalyzers(ctx, operator, []distributor.Target{{URL: r.analyzers[1].URL(), Weight: 1}, {ID: "new", URL: r.analyzers[2].URL(), Weight: 2}}))
	if r.weights() != "a2=1 ready, new=2 ready" {
		t.Error(r.weights())
	}
	r.mustSucceed(r.PatchAnalyzer(ctx, operator, "new", AnalyzerPatch{Weight: pointer(3.0)}))
	r.stop()
	r.open()
	if r.weights() != "a2=1 ready, new=3 ready" {
		t.Error(r.weights())
	}
	r.mustSucceed(r.Revert(ctx, operator, ""))
	if r.weights() != "a1=0.6 ready, a2=0.4 ready" {
		t.Error(r.weights())
	}
}

// A change may use the token file of an analyzer for this analyzer only.
func TestTokenFiles(t *testing.T) {
	ctx := t.Context()
	r := start(t, "")
	r.stop()
	token := filepath.Join(r.dir, "token")
	if err := os.WriteFile(token, []byte("t"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.write(fmt.Sprintf("analyzers: [{id: a1, url: '%s', weight: 1}, {id: logs, url: 'vlogs+%s?token_file=%s', weight: 1}]\n", r.analyzers[0].URL(), r.analyzers[1].URL(), token))
	r.open()
	for _, url := range []string{
		"vlogs+" + r.analyzers[2].URL() + "?token_file=" + token, "loki+" + r.analyzers[1].URL() + "?token_file=" + token,
		"vlogs+" + r.analyzers[1].URL() + "?gzip=on&token_file=/etc/hostname",
	} {
		r.wantRefused(InvalidSetting)(r.AddAnalyzer(ctx, operator, distributor.Target{ID: "new", URL: url, Weight: 1}))
		r.wantRefused(InvalidSetting)(r.PatchAnalyzer(ctx, operator, "a1", AnalyzerPatch{URL: pointer(url)}))
	}
	r.mustSucceed(r.PatchAnalyzer(ctx, operator, "logs", AnalyzerPatch{URL: pointer("vlogs+" + r.analyzers[1].URL() + "?gzip=on&token_file=" + token)}))
	r.mustSucceed(r.PatchAnalyzer(ctx, operator, "a1", AnalyzerPatch{URL: pointer("vlogs+" + r.analyzers[2].URL())}))
}

// The effective configuration, written as a file, loads as the same configuration.
func TestYAML(t *testing.T) {
	ctx := t.Context()
	r := start(t, "admin_token: s3cret-of-operators\n")
	r.mustSucceed(r.PatchAnalyzer(ctx, operator, "a2", AnalyzerPatch{Weight: pointer(0.3)}))
	r.mustSucceed(r.SetLimit(ctx, operator, Limit{Emitter: "web: '1'\n", Rate: 5}))
	text := r.YAML()
	if strings.Contains(string(text), "s3cret") {
		t.Errorf("%s", text)
	}
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	loader := config.New(DefaultConfig(), func(string) (string, bool) { return "", false })
	loader.File = path
	read, err := loader.Load()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	read.Config.Admin.Token = r.Config().Admin.Token
	read.Config.Distributor.Targets = read.Config.Distributor.Targets.WithIDs(nil)
	if changes := config.Diff(r.Config(), read.Config); len(changes) > 0 {
		t.Errorf("%+v\n%s", changes, text)
	}
}
