package programs

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// loki is a process of Loki.
type loki struct {
	*testing.T
	address, config string
	command         *exec.Cmd
}

// newLoki prepares a Loki with limits.
func newLoki(t *testing.T, limits string) *loki {
	t.Helper()
	program(t, "LOKI")
	dir, own := t.TempDir(), addresses(t, 2)
	_, httpPort, _ := strings.Cut(own[0], ":")
	_, grpcPort, _ := strings.Cut(own[1], ":")
	text := strings.NewReplacer("HTTP", httpPort, "GRPC", grpcPort, "DIR", dir, "LIMITS", limits).Replace(
		`auth_enabled: false
server: {http_listen_address: 127.0.0.1, http_listen_port: HTTP, grpc_listen_address: 127.0.0.1, grpc_listen_port: GRPC, log_level: error}
ingester:
  lifecycler: {address: 127.0.0.1, interface_names: [lo], min_ready_duration: 0s, final_sleep: 0s, ring: {kvstore: {store: inmemory}, replication_factor: 1}}
  max_transfer_retries: 0
schema_config: {configs: [{from: 2020-01-01, store: boltdb, object_store: filesystem, schema: v11, index: {prefix: i_, period: 168h}}]}
storage_config: {boltdb: {directory: DIR/index}, filesystem: {directory: DIR/chunks}}
limits_config: {enforce_metric_name: false, reject_old_samples: true, reject_old_samples_max_age: 168h, LIMITS}
`)
	l := &loki{T: t, address: own[0], config: filepath.Join(dir, "loki.yml")}
	if err := os.WriteFile(l.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

// run starts Loki and waits until it is ready.
func (l *loki) run() {
	l.Helper()
	l.command = start(l.T, os.Getenv("LOKI"), "-config.file="+l.config)
	(&harness.Distributor{T: l.T}).Await("Loki is ready", func() bool {
		response, err := http.Get("http://" + l.address + "/ready")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// entry is an entry with the labels of its stream.
type entry struct {
	labels      map[string]string
	nanoseconds int64
	line        string
}

// entries returns all entries of the last eight days, which are in memory: Loki 1.6 leaves out entries
// of stored chunks that are a few milliseconds long.
func (l *loki) entries() (all []entry) {
	l.Helper()
	query := url.Values{
		"query": {`{packet=~".+"}`}, "limit": {"5000"}, "start": {fmt.Sprint(time.Now().AddDate(0, 0, -8).UnixNano())}, "end": {fmt.Sprint(time.Now().Add(time.Hour).UnixNano())},
	}
	response, err := http.Get("http://" + l.address + "/loki/api/v1/query_range?" + query.Encode())
	if err != nil {
		l.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		l.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return nil // while it starts
	}
	var found struct {
		Data struct {
			Result []struct {
				Stream map[string]string
				Values [][2]string
			}
		}
	}
	if err := json.Unmarshal(body, &found); err != nil {
		l.Fatalf("%v: %s", err, body)
	}
	for _, stream := range found.Data.Result {
		for _, value := range stream.Values {
			at, err := strconv.ParseInt(value[0], 10, 64)
			if err != nil {
				l.Fatal(err)
			}
			all = append(all, entry{stream.Stream, at, value[1]})
		}
	}
	return all
}

// check checks that each message is stored once.
func (l *loki) check(all []backendMessage) {
	l.Helper()
	found := make(map[string][]entry)
	for _, one := range l.entries() {
		found[one.line] = append(found[one.line], one)
	}
	for n, m := range all {
		got := found[m.Text]
		if len(got) != 1 {
			l.Fatalf("%+v is stored %d times", m, len(got))
		}
		level := m.Level
		if level == "odd" {
			level = "unknown"
		}
		at := m.Timestamp*1e6 + int64(n%perPacket) // nanoseconds that keep equal lines apart
		if one := got[0]; one.nanoseconds != at || one.labels["level"] != level || one.labels["packet"] != m.Metadata["packet"] {
			l.Fatalf("%+v at %d is %+v", m, at, one)
		}
	}
	l.Logf("%d messages are stored once", len(all))
}

// distributor starts a distributor for Loki, with a stream for each packet: this Loki has to get the
// entries of a stream in order.
func (l *loki) distributor(options string) *harness.Distributor {
	l.Helper()
	return harness.StartFor(l.T, "loki+http://"+l.address+"?label=packet"+options+"=1", nil, "SENDER_TIMEOUT_MS=10000", "JOURNAL=disk")
}

// Each message is stored once, though Loki is not there at first, and refuses requests for its rate, or
// for its burst.
func TestLoki(t *testing.T) {
	for name, limits := range map[string]string{
		"usual": "",
		"rate":  "ingestion_rate_mb: 0.02, ingestion_burst_size_mb: 0.02",
		"burst": "ingestion_rate_mb: 4, ingestion_burst_size_mb: 0.002",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLoki(t, limits)
			all := backendMessages(time.Now().Add(-time.Hour).Truncate(time.Second))
			d := l.distributor("")
			sendPackets(d, all[:messages/2])
			l.run()
			sendPackets(d, all[messages/2:])
			d.Await("all messages are stored", func() bool { return len(l.entries()) >= messages })
			d.Stop()
			l.check(all)
			if letters := deadLetters(d); len(letters) > 0 {
				t.Error(letters)
			}
		})
	}
}

// What Loki never accepts becomes a dead letter, unless its time may be moved, and all around it is
// stored. Loki 1.6 also refuses what comes again after another packet of its request was refused, though
// it has stored it.
func TestLokiRejects(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	week, hour := now.AddDate(0, 0, -8).UnixMilli(), now.Add(time.Hour).UnixMilli()
	for options, want := range map[string]map[string]string{
		"&clamp=off": {"old": "timestamp too old", "future": "too (new|far)|future", "long": "Max entry size"},
		"&clamp=now": {"long": "Max entry size"},
	} {
		t.Run(options, func(t *testing.T) {
			t.Parallel()
			l := newLoki(t, "max_line_size: 1KB")
			l.run()
			all := backendMessages(now.Add(-time.Hour))
			d := l.distributor(options)
			sendPackets(d, all[:messages/2])
			for id, special := range map[string]backendMessage{
				"old":     {Timestamp: week, Text: "old"},
				"future":  {Timestamp: hour, Text: "future"},
				"long":    {Timestamp: now.UnixMilli(), Text: strings.Repeat("x", 2000)},
				"service": {Timestamp: now.UnixMilli(), Text: "of a service with a long name", Metadata: map[string]string{"service.name": strings.Repeat("s", 3000)}},
			} {
				good := backendMessage{Timestamp: now.UnixMilli(), Level: "INFO", Text: "beside " + id, Metadata: map[string]string{"packet": id}}
				special.Level = "WARN" // a stream of its own
				if special.Metadata == nil {
					special.Metadata = make(map[string]string)
				}
				special.Metadata["packet"] = id
				sendPacket(d, id, []backendMessage{good, special})
			}
			sendPackets(d, all[messages/2:])
			d.Await("all messages are stored", func() bool { return len(l.entries()) == messages+8-len(want) })
			d.Await("the others are dead letters", func() bool { return int(d.Counter("distributor_dead_lettered_packets_total", "")) >= len(want) })
			d.Stop()
			l.check(all)
			letters := deadLetters(d)
			for id, why := range want {
				if !regexp.MustCompile(why).MatchString(letters[id]) {
					t.Errorf("%s: %q in %v", id, letters[id], letters)
				}
			}
			for id, why := range letters {
				if want[id] == "" && !strings.Contains(why, "out of order") {
					t.Errorf("%s: %s", id, why)
				}
			}
			t.Logf("%d dead letters, %d of packets that were stored", len(letters), len(letters)-len(want))
		})
	}
}
