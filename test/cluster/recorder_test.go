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
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/test/ports"
)

// recorderVariable has the addresses of a recorder; it makes the test binary one.
const recorderVariable = "LOGSTREAMER_CLUSTER_TEST_RECORDER"

// recorder is an analyzer in a process of its own. It has an address for each distributor, and
// writes down what it takes, and from which, before it answers.
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
}

// record is the main function of a recorder.
func record(addresses, log string) error {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	var mu sync.Mutex // guards line
	var line bytes.Buffer
	failed := make(chan error, 1)
	for i, address := range strings.Split(addresses, ",") {
		_, err := analyzertest.Start(address, func(ids []string) error {
			mu.Lock()
			defer mu.Unlock()
			line.Reset()
			at := time.Now().UnixNano()
			for _, id := range ids {
				fmt.Fprintf(&line, "%s %d %d\n", id, i, at)
			}
			_, err := file.Write(line.Bytes())
			return err
		}, func(err error) { failed <- err })
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

// port returns where a distributor reaches it.
func (r *recorder) port(distributor int) string {
	_, port, _ := net.SplitHostPort(r.addresses[distributor])
	return port
}

// deliveries returns what all recorders took, by packet, the earliest first.
func (y *system) deliveries() map[string][]delivery {
	all := make(map[string][]delivery)
	for i, r := range y.recorders {
		text, err := os.ReadFile(r.log)
		if err != nil && !os.IsNotExist(err) {
			y.t.Fatal(err)
		}
		for line := range linesOf(text) {
			var id string
			var distributor int
			var at int64
			if _, err := fmt.Sscan(line, &id, &distributor, &at); err != nil {
				continue // it is being written
			}
			all[id] = append(all[id], delivery{i, distributor, time.Unix(0, at)})
		}
	}
	for _, one := range all {
		slices.SortFunc(one, func(a, b delivery) int { return a.at.Compare(b.at) })
	}
	return all
}
