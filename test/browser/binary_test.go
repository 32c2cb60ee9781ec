package browser

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// started is a process of the program.
type started struct {
	testing.TB
	log output
}

// address returns what a pattern finds in the log of a process, once it is there.
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

// start starts a command of the program, with settings and no others, until the test is over.
func start(t testing.TB, program, command string, settings ...string) *started {
	t.Helper()
	s, c := &started{TB: t}, exec.Command(program, command)
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

// The program itself serves the console, with analyzers and load of processes as in production; the
// split follows a change of a weight.
func TestProgram(t *testing.T) {
	parallel(t)
	program := filepath.Join(t.TempDir(), "logstreamer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/logstreamer/logstreamer/cmd/logstreamer").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	analyzers := ""
	for range 2 {
		a := start(t, program, "analyzer", "LISTEN_ADDR=127.0.0.1", "PORT=0", "METRICS_ADDR=off")
		analyzers += ",http://" + a.address(`msg="analyzer listens".* address=(\S+)`) + "=0.5"
	}
	d := start(t, program, "distributor", "LISTEN_ADDR=127.0.0.1", "PORT=0", "METRICS_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "ANALYZERS="+analyzers[1:])
	start(t, program, "emitter", "TARGET_URL=http://"+d.address(`msg="distributor serves".* ingest=(\S+)`)+"/ingest", "RATE=300", "PACKET_SIZE=1-100", "METRICS_ADDR=off")
	b := open(t, &world{TB: t, addr: d.address(`msg="the admin API is served".* address=(\S+)`)}, 1280, "light", "")
	b.shows("All is well: nothing is lost, 2 of 2 analyzers take packets.")
	b.click(first, "Change…")
	b.click(".menu[open]", "Weight…")
	b.fill("weight", "1.5")
	b.until("document.querySelector('dialog td b')?.textContent === '75.0 %'")
	b.click("dialog", "Change the weight")
	b.until("!document.querySelector('dialog')")
	b.until("parseFloat(document.querySelector('.analyzers tbody tr:nth-child(1) .fixed').textContent) > 60") // of 50 before
	b.shows("unaccounted 0 messages")
}
