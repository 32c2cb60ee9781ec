package top

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
	"github.com/logstreamer/logstreamer/internal/adminclient/admintest"
)

const plainState = ` degraded (a2 is down): in 25000 messages/s, out 24000 messages/s, refused 0 packets/s, undelivered 14 packets, oldest 1.5s, dead-lettered 1 packets, unaccounted 0 messages, revision 1234
 a1: share 50.0% of 50.0%, off by +3 messages, queue 7 packets, in flight 2, p99 4.1ms: healthy
 a2: share 0.0% of 30.0%, off by 0 messages, queue 0 packets, in flight 0, p99 -: out: breaker open (connection refused), next try at 12:00:05
 a3: share 20.0% of 20.0%, off by -13 messages, queue 5 packets, in flight 1, p99 2ms: draining, 6 left
 batch-7: 120 packets refused lately (rate limited, shed), last at 11:59:58
 event 2026-11-29T11:59:00Z: breaker analyzers/a2: - → open
 event 2026-11-29T11:59:30Z: change analyzers/a3/state: ready → drain by ops; kernel
`

// The line of the whole says what an operator has paused.
func TestPlainPaused(t *testing.T) {
	text := plain(Detail{Status: adminapi.Status{State: "normal", Reason: "all is well", Intake: "paused", Dispatch: "paused"}}, time.Time{})
	if want := " normal, intake paused, dispatch paused (all is well): in 0 messages/s"; !strings.HasPrefix(timeless(text), want) {
		t.Errorf("%s\nwant %s", text, want)
	}
}

// show runs a view of a server without a terminal.
func show(t *testing.T, server *admintest.Server, o Options) (stdout, stderr string, err error) {
	t.Helper()
	config := adminclient.DefaultConfig()
	config.URL = server.URL
	client, err := adminclient.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	var out, errs bytes.Buffer
	if o.Out == nil {
		o.Out = &out
	}
	o.Err = &errs
	err = Run(t.Context(), client, o)
	return out.String(), errs.String(), err
}

// timeless removes the time at the beginning of each line.
func timeless(text string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(line, " ")
		lines.WriteString(" " + rest)
	}
	return lines.String()
}

func TestOnce(t *testing.T) {
	s := newScreen(t, "read")
	out, errs, err := show(t, s.server, Options{Once: true, Terminal: true})
	if err != nil || errs != "" || timeless(out) != plainState {
		t.Errorf("%v %s\n%s", err, errs, out)
	}
}

func TestOnceAsJSON(t *testing.T) {
	s := newScreen(t, "read")
	out, _, err := show(t, s.server, Options{Once: true, JSON: true})
	var object struct {
		Time   string
		Status struct{ State string }
		Events struct{ Last int64 }
	}
	if err != nil || strings.Count(out, "\n") != 1 {
		t.Fatal(out, err)
	}
	if err := json.Unmarshal([]byte(out), &object); err != nil || object.Status.State != "degraded" || object.Events.Last != 5 || object.Time == "" {
		t.Error(out, err)
	}
}

func TestOnceFails(t *testing.T) {
	_, _, err := show(t, &admintest.Server{URL: "http://127.0.0.1:1"}, Options{Once: true})
	var unreachable *adminclient.UnreachableError
	if !errors.As(err, &unreachable) {
		t.Error(err)
	}
}

// bounded fails after a number of writes.
type bounded struct {
	writes int
	text   strings.Builder
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.writes--; b.writes < 0 {
		return 0, io.ErrShortWrite
	}
	return b.text.Write(p)
}

// Without a terminal there are lines for each snapshot, with the new events only, through
// restarts, until the output is closed.
func TestLines(t *testing.T) {
	s := newScreen(t, "read")
	const one = "id: b1-1\nevent: snapshot\ndata: {\"boot\":\"b1\",\"seq\":1,\"time\":1,\"values\":{},\"analyzers\":{}}\n\n"
	s.server.Stream("GET /v1/stream", false, one)
	s.server.Stream("GET /v1/stream", true, "event: reset\ndata: {\"boot\":\"b2\"}\n\n"+one+one)
	out := &bounded{writes: 2}
	began := time.Now()
	_, errs, err := show(t, s.server, Options{Out: out})
	took := time.Since(began)
	_, second, _ := strings.Cut(plainState, "\n")
	second = second[:strings.Index(second, " event")]
	if !errors.Is(err, io.ErrShortWrite) || !strings.HasPrefix(timeless(out.text.String()), plainState) || !strings.HasSuffix(timeless(out.text.String()), second) {
		t.Errorf("%v\n%s", err, out.text.String())
	}
	seen := regexp.MustCompile(`disconnected, last seen (\S+) ago: `).FindStringSubmatch(errs)
	if seen == nil || !strings.Contains(errs, "the distributor was restarted") {
		t.Fatal(errs)
	}
	if ago, err := time.ParseDuration(seen[1]); err != nil || ago > took.Round(time.Second) {
		t.Errorf("last seen %s ago, in a test of %v", seen[1], took)
	}
	var afters []string
	for _, r := range s.server.Requests(true) {
		if strings.HasPrefix(r.Line, "GET /v1/events") {
			afters = append(afters, r.Line)
		}
	}
	// The second event list follows a reset, and begins again.
	if len(afters) != 3 || afters[1] != "GET /v1/events?after=0&limit=10000" || afters[2] != "GET /v1/events?after=5&limit=10000" {
		t.Error(afters)
	}
}

// A signal ends the lines without an error.
func TestLinesEndWithTheContext(t *testing.T) {
	s := newScreen(t, "read")
	s.server.Stream("GET /v1/stream", true, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, s.client, Options{Out: io.Discard, Err: io.Discard}); err != nil {
		t.Error(err)
	}
}
