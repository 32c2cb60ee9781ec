//go:build linux

package cluster

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/test/natstest"
)

// The disk of the NATS server is full: its streams answer requests, and store nothing. Packets are
// refused at once, except one at a time; if each packet waited for its time limit, so many refusals
// would take longer than await does. With space, and after a restart of the server, all accepted
// packets are delivered.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	natstest.Binary(t) // or skip
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("no file system of a size: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	y := newSystem(t, setup{servers: 1, distributors: 1, environment: patient, nats: natstest.Options{Dir: dir}})
	y.behave(analyzertest.Behaviour{Status: 503})
	y.emitters.size.Store(20_000)
	y.emitters.pace.Store(0)
	await(t, "the log says that no stream can be written", func() bool {
		log, err := os.ReadFile(y.distributors[0].log())
		return err == nil && strings.Contains(string(log), "no stream can be written")
	})
	await(t, "the distributor says what to do", func() bool {
		return strings.Contains(y.distributors[0].ask("GET", "/v1/status", "", "").text, "whose disk was full must be restarted")
	})
	y.emitters.awaitRefusals(t, 3000)
	y.servers[0].Kill()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=200m"); err != nil {
		t.Fatal(err)
	}
	y.servers[0].Restart()
	y.behave(analyzertest.Behaviour{})
	y.emitters.size.Store(300)
	y.emitters.pace.Store(int64(usualPace()))
	y.emitters.awaitMore(t, 500)
	y.finish()
	for code := range y.emitters.refused {
		if code != "503 journal_unwritable" {
			t.Errorf("packets were refused: %v", y.emitters.refused)
		}
	}
}
