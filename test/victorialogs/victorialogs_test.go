// Package victorialogs delivers to the real VictoriaLogs: a query finds every message that a
// distributor has accepted.
package victorialogs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	messages  = 2000
	perPacket = 20
)

// build returns the path of a program.
func build(t *testing.T, packagePath string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), filepath.Base(packagePath))
	command := exec.CommandContext(t.Context(), "go", "build", "-o", to, packagePath)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", packagePath, err, output)
	}
	return to
}

// start starts a program, and returns a function that ends it, as the end of the test does.
func start(t *testing.T, environment []string, name string, args ...string) (stop func()) {
	t.Helper()
	var log bytes.Buffer
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), environment...)
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), log.String())
		}
	})
	return stop
}

// addresses returns addresses that were free recently, with ports below the ephemeral ports.
func addresses(t *testing.T, n int) (all []string) {
	t.Helper()
	for tries := 0; len(all) < n; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000)))
		if err == nil {
			defer func() { _ = l.Close() }()
			all = append(all, l.Addr().String())
		} else if tries > 100 {
			t.Fatal(err)
		}
	}
	return all
}

// until polls a condition.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for !condition() {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("it never came that %s", what)
		}
	}
}

func get(target string) (int, []byte) {
	response, err := http.Get(target)
	if err != nil {
		return 0, nil
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil
	}
	return response.StatusCode, text
}

// message is a message as it is sent.
type message struct {
	Timestamp int64             `json:"timestamp"`
	Level     string            `json:"level"`
	Message   string            `json:"message"`
	Metadata  map[string]string `json:"metadata"`
}

// numbered returns message i, with a time, text and metadata of its own.
func numbered(i int) message {
	now := time.Now().Add(-time.Hour).Truncate(time.Hour).UnixMilli()
	return message{
		Timestamp: now + int64(i), Level: []string{"INFO", "ERROR", "odd"}[i%3], Message: fmt.Sprintf("message %d \"é\"\n\t日本 \\", i),
		Metadata: map[string]string{"number": fmt.Sprint(i), "service.name": "shop", "quote": `a"b\c`, "level": "x"},
	}
}

// sendAll posts all messages in packets, from several emitters.
func sendAll(t *testing.T, to string, all []message) {
	t.Helper()
	var senders sync.WaitGroup
	for emitter := range 4 {
		senders.Go(func() {
			for first := emitter * perPacket; first < len(all); first += 4 * perPacket {
				body, err := json.Marshal(map[string]any{
					"emitter_id": fmt.Sprintf("shop/web-%d", emitter), "packet_id": all[first].Metadata["number"], "messages": all[first : first+perPacket],
				})
				if err != nil {
					t.Error(err)
					return
				}
				response, err := http.Post(to+"/ingest", "application/json", bytes.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				_ = response.Body.Close()
				if response.StatusCode != http.StatusAccepted {
					t.Errorf("answered %d", response.StatusCode)
				}
			}
		})
	}
	senders.Wait()
}

// query returns all records that VictoriaLogs has.
func query(t *testing.T, from string) (records []map[string]string) {
	t.Helper()
	status, text := get(from + "/select/logsql/query?limit=10000&query=" + url.QueryEscape("*"))
	if status != http.StatusOK {
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one map[string]string
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		records = append(records, one)
	}
	return records
}

// backend is a way to deliver to VictoriaLogs.
type backend struct {
	// prefix and suffix are those of the host in ANALYZERS.
	prefix, suffix string
	// nanoseconds returns what is added to the time of message i.
	nanoseconds func(i int) int
	// service is the field with the service.
	service string
}

var backends = map[string]backend{
	"vlogs": {"vlogs+http://", "?gzip=on=1", func(int) int { return 0 }, "service.name"},
	// The lines of a packet have different times, since Loki drops equal lines with equal times.
	"loki": {"loki+http://", "/insert=1", func(i int) int { return i % perPacket }, "service_name"},
}

// Each message is found once, though VictoriaLogs is stopped while some of them are accepted.
func TestEveryMessageIsFound(t *testing.T) {
	if output, err := exec.CommandContext(t.Context(), "go", "mod", "download").CombinedOutput(); err != nil {
		t.Skipf("the modules of VictoriaLogs are not to be had here: %v\n%s", err, output)
	}
	victoriaLogs, logstreamer := build(t, "github.com/VictoriaMetrics/VictoriaLogs/app/victoria-logs"), build(t, "github.com/logstreamer/logstreamer/cmd/logstreamer")
	for name, b := range backends {
		t.Run(name, func(t *testing.T) { b.run(t, victoriaLogs, logstreamer) })
	}
}

func (b backend) run(t *testing.T, victoriaLogs, logstreamer string) {
	free := addresses(t, 4)
	logs, distributor := "http://"+free[0], "http://"+free[1]
	store := []string{"-httpListenAddr", free[0], "-storageDataPath", t.TempDir(), "-loggerLevel", "ERROR"}
	stop := start(t, nil, victoriaLogs, store...)
	_, port, _ := net.SplitHostPort(free[1])
	start(t, []string{
		"ANALYZERS=" + b.prefix + free[0] + b.suffix, "PORT=" + port, "LISTEN_ADDR=127.0.0.1", "METRICS_ADDR=" + free[2],
		"ADMIN_ADDR=" + free[3], "SENDER_TIMEOUT_MS=5000", "DATA_DIR=" + t.TempDir(), "JOURNAL=disk",
	}, logstreamer, "distributor")
	until(t, "the distributor is ready", func() bool { status, _ := get(distributor + "/health"); return status == http.StatusOK })

	var all []message
	for i := range messages {
		all = append(all, numbered(i))
	}
	var records []map[string]string
	sendAll(t, distributor, all[:messages/2])
	until(t, "the first half is found", func() bool { return len(query(t, logs)) >= messages/2 })
	stop()
	sendAll(t, distributor, all[messages/2:])
	start(t, nil, victoriaLogs, store...)
	until(t, "all messages are found", func() bool { records = query(t, logs); return len(records) >= messages })
	b.check(t, all, records)
}

// check checks that the records are the messages, each once.
func (b backend) check(t *testing.T, all []message, records []map[string]string) {
	t.Helper()
	found := make(map[string]map[string]string)
	for _, one := range records {
		found[one["number"]] = one
	}
	if len(records) != messages || len(found) != messages {
		t.Fatalf("%d records of %d messages, want %d", len(records), len(found), messages)
	}
	for i, m := range all {
		one := found[fmt.Sprint(i)]
		at, err := time.Parse(time.RFC3339Nano, one["_time"])
		if err != nil || at.UnixNano() != m.Timestamp*int64(time.Millisecond)+int64(b.nanoseconds(i)) || one["_msg"] != m.Message || one["level"] != m.Level || one["attributes.level"] != "x" ||
			one["quote"] != m.Metadata["quote"] || one[b.service] != "shop" || !strings.HasPrefix(one["emitter_id"], "shop/web-") {
			t.Fatalf("message %+v is %v", m, one)
		}
	}
}
