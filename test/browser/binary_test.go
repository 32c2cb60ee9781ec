package browser

import (
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/binary"
)

// program is the path of the binary, which is built once for all tests.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "logstreamer-browser")
	if err != nil {
		return "", err
	}
	removeProgram = func() { _ = os.RemoveAll(dir) } // of a temporary directory
	return binary.Build(dir)
})

var removeProgram = func() {}

// started is a process of the program.
type started struct {
	testing.TB
	command *exec.Cmd
	log     output
}

// address waits until the log of a process matches a pattern, and returns the match.
func (s *started) address(pattern string) string {
	s.Helper()
	ticker, limit := time.NewTicker(20*time.Millisecond), time.After(waitTimeout)
	defer ticker.Stop()
	for {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(s.log.String()); found != nil {
			return found[1]
		}
		select {
		case <-ticker.C:
		case <-limit:
			s.Fatalf("the log never has %s: %s", pattern, s.log.String())
		}
	}
}

// start starts a command of the program, with these settings only, until the test is over. The
// command may have arguments.
func start(t testing.TB, command string, settings ...string) *started {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(path, strings.Fields(command)...)
	s := &started{TB: t, command: c}
	c.Dir, c.Env = t.TempDir(), append([]string{"HOME=" + t.TempDir()}, settings...)
	c.Stdout, c.Stderr = io.Writer(&s.log), io.Writer(&s.log)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt) // it may have ended
		_ = c.Wait()
	})
	return s
}

// The binary serves the console, with processes of analyzers and emitters as in production; the
// split follows a change of a weight.
func TestConsoleOfBinary(t *testing.T) {
	parallel(t)
	analyzers := ""
	for range 2 {
		a := start(t, "analyzer", "LISTEN_ADDR=127.0.0.1", "PORT=0", "METRICS_ADDR=off")
		analyzers += ",http://" + a.address(`msg="analyzer listens".* address=(\S+)`) + "=0.5"
	}
	d := start(t, "distributor", "LISTEN_ADDR=127.0.0.1", "PORT=0", "METRICS_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "ANALYZERS="+analyzers[1:])
	start(t, "emitter", "TARGET_URL=http://"+d.address(`msg="distributor serves".* ingest=(\S+)`)+"/ingest", "RATE=300", "PACKET_SIZE=1-100", "METRICS_ADDR=off")
	b := open(t, &harness{TB: t, addr: d.address(`msg="the admin API is served".* address=(\S+)`)}, 1280, "light", "")
	b.shows("All is well: nothing is lost, 2 of 2 analyzers take packets.")
	b.click(first, "Change…")
	b.click(".menu[open]", "Weight…")
	b.fill("weight", "1.5")
	b.until("document.querySelector('dialog td b')?.textContent === '75.0\\u00a0%'")
	b.click("dialog", "Change the weight")
	b.until("!document.querySelector('dialog')")
	b.until("parseFloat(document.querySelector('.analyzers tbody tr:nth-child(1) .fixed').textContent) > 60") // of 50 before
	b.shows("0 messages unaccounted")
}
