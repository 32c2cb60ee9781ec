//go:build linux

package cluster

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/test/ports"
)

// recorderVariable has the addresses of a recorder; it turns the test binary into a recorder.
const recorderVariable = "LOGSTREAMER_CLUSTER_TEST_RECORDER"

// recorder is an analyzer in a separate process. It has an address for each distributor, and logs
// each packet and its distributor before it responds, and the response afterwards.
type recorder struct {
	t         *testing.T
	name      string
	addresses []string
	log       string
	command   *exec.Cmd
}

// delivery is a packet that a recorder took.
type delivery struct {
	recorder, distributor int
	at                    time.Time
	answered              bool
}

// The lines of a recorder's log begin with one of these words, followed by the packet's id, the
// number of the distributor and the time.
const (
	takenLine    = "taken"
	answeredLine = "answered"
)

// record is the main function of a recorder.
func record(addresses, log string) error {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	var mu sync.Mutex // guards line
	var line bytes.Buffer
	write := func(what string, distributor int, ids []string) error {
		mu.Lock()
		defer mu.Unlock()
		line.Reset()
		at := time.Now().UnixNano()
		for _, id := range ids {
			fmt.Fprintln(&line, what, id, distributor, at)
		}
		_, err := file.Write(line.Bytes())
		return err
	}
	failed := make(chan error, 1)
	for i, address := range strings.Split(addresses, ",") {
		_, err := analyzertest.Start(address, analyzertest.Hooks{
			Record: func(ids []string) error { return write(takenLine, i, ids) },
			Answered: func(ids []string) {
				if err := write(answeredLine, i, ids); err != nil {
					failed <- err
				}
			},
			Fail: func(err error) { failed <- err },
		})
		if err != nil {
			return err
		}
	}
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err // the test has ended
	}()
	return <-failed
}

func newRecorder(t *testing.T, number, distributors int) *recorder {
	t.Helper()
	free, err := ports.Free(distributors)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{t: t, name: fmt.Sprintf("recorder-%d", number), log: filepath.Join(t.TempDir(), "taken")}
	for _, port := range free {
		r.addresses = append(r.addresses, fmt.Sprintf("127.0.0.1:%d", port))
	}
	t.Cleanup(r.kill)
	r.start()
	return r
}

func (r *recorder) start() {
	r.t.Helper()
	own, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	command := exec.Command(own, r.log)
	command.Env, command.Stderr = append(os.Environ(), recorderVariable+"="+strings.Join(r.addresses, ",")), os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if _, err = command.StdinPipe(); err == nil {
		err = command.Start()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.command = command
	await(r.t, r.name+" listens", func() bool {
		for _, address := range r.addresses {
			response, err := client.Get("http://" + address + "/health")
			if err != nil {
				return false
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return false
			}
		}
		return true
	})
}

// kill sends SIGKILL.
func (r *recorder) kill() {
	_ = r.command.Process.Kill() // it may have ended
	_ = r.command.Wait()
}

// port returns the port for a distributor.
func (r *recorder) port(distributor int) string {
	_, port, _ := net.SplitHostPort(r.addresses[distributor])
	return port
}

// deliveries returns the deliveries of all recorders, by packet, in order of time.
func (y *system) deliveries() map[string][]delivery {
	all := make(map[string][]delivery)
	for i, r := range y.recorders {
		text, err := os.ReadFile(r.log)
		if err != nil && !os.IsNotExist(err) {
			y.t.Fatal(err)
		}
		r.parse(i, text, all)
	}
	for _, one := range all {
		slices.SortFunc(one, func(a, b delivery) int { return a.at.Compare(b.at) })
	}
	return all
}

// parse adds the deliveries of a recorder's log. If a packet arrived twice from the same
// distributor, a response belongs to the first delivery without one.
func (r *recorder) parse(number int, text []byte, all map[string][]delivery) {
	for line := range linesOf(text) {
		words := strings.Fields(line)
		if len(words) != 4 || !strings.HasSuffix(line, "\n") {
			continue // it is being written
		}
		id := words[1]
		distributor, _ := strconv.Atoi(words[2]) // record has written them
		at, _ := strconv.ParseInt(words[3], 10, 64)
		switch words[0] {
		case takenLine:
			all[id] = append(all[id], delivery{recorder: number, distributor: distributor, at: time.Unix(0, at)})
		case answeredLine:
			for i := range all[id] {
				if one := &all[id][i]; one.recorder == number && one.distributor == distributor && !one.answered {
					one.answered = true
					break
				}
			}
		}
	}
}
