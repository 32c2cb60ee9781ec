package programs

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// otelLogs is the table of the OpenTelemetry Collector, which deduplicates inserts here.
const otelLogs = `CREATE TABLE otel_logs (
	Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)), TimestampTime DateTime DEFAULT toDateTime(Timestamp), TraceId String, SpanId String, TraceFlags UInt8,
	SeverityText LowCardinality(String), SeverityNumber UInt8, ServiceName LowCardinality(String), Body String,
	ResourceSchemaUrl LowCardinality(String), ResourceAttributes Map(LowCardinality(String), String),
	ScopeSchemaUrl LowCardinality(String), ScopeName String, ScopeVersion LowCardinality(String), ScopeAttributes Map(LowCardinality(String), String),
	LogAttributes Map(LowCardinality(String), String), CONSTRAINT fine CHECK Body NOT LIKE 'bad%'
) ENGINE = MergeTree PARTITION BY toDate(TimestampTime) ORDER BY (ServiceName, TimestampTime, Timestamp)
SETTINGS non_replicated_deduplication_window = 1000`

// clickhouse is a process with ClickHouse's engine.
type clickhouse struct {
	*testing.T
	address, dir string
	command      *exec.Cmd
}

// startClickHouse starts an engine with the table.
func startClickHouse(t *testing.T) *clickhouse {
	program(t, "CHDB")
	c := &clickhouse{T: t, address: addresses(t, 1)[0], dir: t.TempDir()}
	c.run()
	if _, err := c.query(otelLogs); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *clickhouse) run() {
	c.Helper()
	c.command = start(c.T, "node", "chdb/server.mjs", c.address, c.dir)
	awaitListener(&harness.Distributor{T: c.T}, c.address)
}

// kill sends SIGKILL and waits for the end of the process.
func (c *clickhouse) kill() {
	_ = c.command.Process.Kill()
	_ = c.command.Wait()
}

// query returns the rows of a query as JSON, one a line.
func (c *clickhouse) query(text string) (string, error) {
	response, err := http.Get("http://" + c.address + "/?query=" + url.QueryEscape(text))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	rows, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, rows)
	}
	return string(rows), err
}

// row is a row of the table.
type row struct {
	Nanoseconds, SeverityText, ServiceName, Body string
	LogAttributes                                map[string]string
}

// rows returns the rows by the numbers of their messages.
func (c *clickhouse) rows() map[string][]row {
	c.Helper()
	text, err := c.query("SELECT toString(toUnixTimestamp64Nano(Timestamp)) AS Nanoseconds, SeverityText, ServiceName, Body, LogAttributes FROM otel_logs")
	if err != nil {
		c.Fatal(err)
	}
	found := make(map[string][]row)
	for line := range strings.Lines(text) {
		var one row
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			c.Fatalf("%v: %s", err, line)
		}
		found[one.LogAttributes["number"]] = append(found[one.LogAttributes["number"]], one)
	}
	return found
}

// awaitRows waits until rows of that many different messages are stored.
func (c *clickhouse) awaitRows(d *harness.Distributor, n int) {
	d.Helper()
	d.Await(fmt.Sprint(n, " messages are stored"), func() bool {
		text, err := c.query("SELECT uniqExact(LogAttributes['number']) AS n FROM otel_logs")
		return err == nil && strings.Contains(strings.ReplaceAll(text, `"`, ""), fmt.Sprintf("n:%d}", n))
	})
}

// check checks that each message is stored, once unless that is allowed.
func (c *clickhouse) check(all []backendMessage, repeated bool) {
	c.Helper()
	twice := 0
	found := c.rows()
	for _, m := range all {
		got := found[m.Metadata["number"]]
		if len(got) == 0 || len(got) > 1 && !repeated {
			c.Fatalf("%+v is stored %d times", m, len(got))
		}
		twice += len(got) - 1
		one := got[0]
		if one.Nanoseconds != fmt.Sprint(m.Timestamp*1e6) || one.SeverityText != m.Level || one.ServiceName != "shop" || one.Body != m.Text ||
			one.LogAttributes["quote"] != m.Metadata["quote"] || !strings.HasPrefix(one.LogAttributes["emitter_id"], "shop/web-") {
			c.Fatalf("%+v is %+v", m, one)
		}
	}
	c.Logf("%d messages are stored, %d of them twice", len(all), twice)
}

// clickhouseFor starts a distributor for a ClickHouse at a URL.
func clickhouseFor(t *testing.T, url, options string) *harness.Distributor {
	t.Helper()
	return harness.StartFor(t, strings.Replace(url, "http", "clickhouse+http", 1)+options+"=1", nil, "SENDER_TIMEOUT_MS=10000", "JOURNAL=disk")
}

// spread moves the first messages to distant times.
func spread(all []backendMessage) {
	for n, at := range []int64{1, 1_000, 1_600_000_000_000, time.Now().Add(24 * time.Hour).UnixMilli(), 9_223_372_036_854} {
		all[n].Timestamp = at
	}
}

// Each message is stored once although responses are lost: ClickHouse recognises repeated inserts.
func TestClickHouseLosesAnswers(t *testing.T) {
	c := startClickHouse(t)
	all := backendMessages(time.Now().Add(-time.Hour).Truncate(time.Second))
	spread(all)
	d := clickhouseFor(t, losingAnswers(t, "http://"+c.address), "?gzip=on")
	sendPackets(d, all)
	c.awaitRows(d, messages)
	d.Stop()
	c.check(all, false)
}

// No message is lost when ClickHouse is killed, or when the table lacks a column for a while.
func TestClickHouseIsDisturbed(t *testing.T) {
	for name, disturb := range map[string]func(c *clickhouse) (end func()){
		"killed": func(c *clickhouse) func() {
			c.kill()
			return c.run
		},
		"without a column": func(c *clickhouse) func() {
			c.alter("DROP COLUMN ScopeVersion")
			return func() { c.alter("ADD COLUMN ScopeVersion LowCardinality(String)") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := startClickHouse(t)
			all := backendMessages(time.Now().Add(-time.Hour).Truncate(time.Second))
			d := clickhouseFor(t, "http://"+c.address, "")
			sendPackets(d, all[:messages/2])
			d.Await("a message is stored", func() bool { return len(c.rows()) > 0 })
			end := disturb(c)
			sendPackets(d, all[messages/2:])
			d.Await("a request fails", func() bool { return d.Counter("distributor_send_failures_total", "") > 0 })
			end()
			c.awaitRows(d, messages)
			d.Stop()
			c.check(all, true)
			if letters := deadLetters(d); len(letters) > 0 {
				t.Error(letters)
			}
		})
	}
}

func (c *clickhouse) alter(how string) {
	c.Helper()
	if _, err := c.query("ALTER TABLE otel_logs " + how); err != nil {
		c.Fatal(err)
	}
}

// What ClickHouse never accepts becomes a dead letter, and the packets around it are stored.
func TestClickHouseRejects(t *testing.T) {
	c := startClickHouse(t)
	all := backendMessages(time.Now().Add(-time.Hour).Truncate(time.Second))
	d := clickhouseFor(t, "http://"+c.address, "")
	var days []backendMessage
	for n := range int64(150) {
		days = append(days, backendMessage{Timestamp: (1 + n) * 24 * time.Hour.Milliseconds(), Level: "INFO", Text: "of many days"})
	}
	sendPackets(d, all[:messages/2])
	sendPacket(d, "constraint", []backendMessage{{Timestamp: all[0].Timestamp, Level: "INFO", Text: "bad"}})
	sendPacket(d, "days", days)
	sendPackets(d, all[messages/2:])
	c.awaitRows(d, messages)
	d.Await("two packets are dead letters", func() bool { return d.Counter("distributor_dead_lettered_packets_total", "") == 2 })
	d.Stop()
	c.check(all, false)
	letters := deadLetters(d)
	if len(letters) != 2 || !strings.Contains(letters["constraint"], "VIOLATED_CONSTRAINT") || !strings.Contains(letters["days"], "Too many partitions") {
		t.Error(letters)
	}
}
