//go:build linux

package operate

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/ports"
)

// The second SIGINT ends a distributor that still drains, also one that a shell without job control
// started in the background, which has it ignore SIGINT.
func TestSecondInterrupt(t *testing.T) {
	for name, trap := range map[string]string{"usual": "", "ignored": `trap "" INT; `} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			free, err := ports.Free(2)
			if err != nil {
				t.Fatal(err)
			}
			d := prepare(t)
			d.command = exec.Command("sh", "-c", trap+`exec "$@"`, "sh", d.binary, "distributor", "-listen-addr", "127.0.0.1", "-port", fmt.Sprint(free[0]), "-metrics-addr", fmt.Sprintf("127.0.0.1:%d", free[1]), "-admin-addr", "127.0.0.1:0",
				"-data-dir", filepath.Join(filepath.Dir(d.log), "data"), "-analyzers", "http://127.0.0.1:9=1", "-drain-sec", "60", "-shutdown-timeout-sec", "120")
			d.run()
			d.signal(syscall.SIGINT)
			ticker := time.NewTicker(50 * time.Millisecond)
			defer ticker.Stop()
			for running := true; running; {
				select {
				case <-d.ended:
					running = false
				case <-ticker.C:
					_ = d.command.Process.Signal(syscall.SIGINT) // it may have ended
				}
			}
			status, _ := d.command.ProcessState.Sys().(syscall.WaitStatus)
			if status.ExitStatus() != 128+int(syscall.SIGINT) && status.Signal() != syscall.SIGINT {
				t.Errorf("it ended with %v", d.command.ProcessState)
			}
		})
	}
}
