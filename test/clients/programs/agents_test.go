package programs

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// followed is the number of files that the agents follow: enough requests that full queues refuse
// some.
const followed = 20

// agent is a program that follows files and sends their lines, which are JSON objects with time,
// level, host and message.
type agent struct {
	// input is the input of the distributor that the agent sends to; http is the input of PORT.
	input string
	// env are settings of the distributor.
	env []string
	tls bool
	// start starts the program, which follows the files DIR/0.log and so on and sends to an
	// address. With tls the authority's certificate is DIR/ca.crt.
	start func(t *testing.T, dir, host, port string)
	// level is the level of the lines, "error" if it is empty.
	level string
	// text returns the text of a message, "m-N" if it is nil.
	text func(n int) string
	// emitter returns the emitter of a file's messages.
	emitter func(file int) string
	// unacknowledged means that data that the sender has written is lost when the distributor is
	// killed or upgraded, and that datagrams are also lost without capacity.
	unacknowledged, datagrams bool
	// seconds means that times are sent without their fractions.
	seconds bool
}

// texts returns the texts of all messages.
func (a agent) texts() []string {
	all := make([]string, messages)
	for n := range all {
		if all[n] = fmt.Sprint("m-", n); a.text != nil {
			all[n] = a.text(n)
		}
	}
	return all
}

// appendLines appends some of the messages to the files, each of which has every twentieth message.
// The time of a message has a quarter of a millisecond, so that rounded and truncated times are the
// same millisecond.
func (a agent) appendLines(t *testing.T, dir string, begin time.Time, from, to int) {
	t.Helper()
	level := a.level
	if level == "" {
		level = "error"
	}
	var lines [followed]strings.Builder
	for n := from; n < to; n++ {
		at := begin.Add(time.Duration(n)*time.Millisecond + 250*time.Microsecond).UTC().Format("2006-01-02T15:04:05.000000Z0700")
		fmt.Fprintf(&lines[n%followed], `{"time":%q,"level":%q,"host":"web-1","message":"m-%d"}`+"\n", at, level, n)
	}
	for n := range lines {
		file, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(n, ".log")), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(lines[n].String()); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// distributor starts a distributor with the settings that the agent needs.
func (a agent) distributor(t *testing.T, dir string, env []string) (d *harness.Distributor, host, port string) {
	t.Helper()
	env = append(env, a.env...)
	if a.tls {
		env = append(env, harness.ServeTLS(t, dir)...)
	}
	if a.input == "http" {
		d = harness.Start(t, nil, env...)
		host, port, _ = net.SplitHostPort(strings.TrimPrefix(d.URL, "http://"))
		return d, host, port
	}
	d = harness.Start(t, []string{a.input}, env...)
	host, port, _ = net.SplitHostPort(d.Addresses[a.input])
	return d, host, port
}

// run makes the agent send half of the messages, disturbs it, and makes it send the others.
func (a agent) run(t *testing.T, happens harness.Disturbance) {
	dir := t.TempDir()
	d, host, port := a.distributor(t, dir, happens.Env)
	begin := time.Now().Truncate(time.Second)
	a.appendLines(t, dir, begin, 0, messages/2)
	a.start(t, dir, host, port)
	all := a.texts()
	d.Analyzer.AwaitAll(t, "", all[:1])
	happens.Happen(d)
	a.appendLines(t, dir, begin, messages/2, messages)
	if (happens.Name == "killed" || happens.Name == "upgraded") && a.unacknowledged {
		d.Analyzer.AwaitAll(t, "", all[messages-1:])
		d.Stop()
	} else {
		d.Analyzer.AwaitAll(t, "", all)
		if n := d.Counter("distributor_id_conflicts_total", ""); n > 0 {
			t.Errorf("%v packets were taken for others with their ids", n)
		}
		d.Stop()
		d.Analyzer.AwaitOnce(t, "", all)
	}
	a.check(t, d.Analyzer, begin, all)
}

// check checks the level, time and emitter of the delivered messages.
func (a agent) check(t *testing.T, analyzer *harness.Analyzer, begin time.Time, all []string) {
	t.Helper()
	numbers := make(map[string]int)
	for n, text := range all {
		numbers[text] = n
	}
	for _, m := range analyzer.Messages() {
		n, sent := numbers[m.Text]
		at := begin.UnixMilli() + int64(n)
		if a.seconds {
			at -= at % 1000
		}
		if want := a.emitter(n % followed); !sent || m.EmitterID != want || m.Level != "ERROR" || m.Timestamp != at {
			t.Fatalf("message %d, want %s at %d, got %+v", n, want, at, m)
		}
	}
	counts := analyzer.Counts("")
	t.Logf("%d of %d arrived, %d twice, such as %+v", len(counts), messages, len(analyzer.Messages())-len(counts), analyzer.Messages()[0])
}

// runAll runs an agent undisturbed and disturbed.
func (a agent) runAll(t *testing.T, name string) {
	t.Helper()
	for _, happens := range harness.Disturbances() {
		t.Run(name+"/"+happens.Name, func(t *testing.T) {
			t.Parallel()
			if a.datagrams && (happens.Name == "full" || happens.Name == "killed") {
				t.Skip("datagrams are dropped without room")
			}
			a.run(t, happens)
		})
	}
}

// always returns a function with the same emitter for all messages.
func always(emitter string) func(int) string { return func(int) string { return emitter } }
