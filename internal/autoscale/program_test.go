//go:build unix

package autoscale

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script returns the path of a shell script.
func script(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "scale")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProgram(t *testing.T) {
	d := decision("my group; exit 1", 2, 5)
	run := func(text string) (string, error) {
		d.Config.Command = script(t, text) + " --scale analyzer={desired} {current} {group} *"
		return Program{Env: []string{"A=1"}}.Scale(t.Context(), d)
	}
	output, err := run(`for a in "$@"; do echo "<$a>"; done; echo "$A" >&2`)
	if want := "<--scale>\n<analyzer=5>\n<2>\n<my group; exit 1>\n<*>\n1"; err != nil || output != want {
		t.Errorf("%q, %v, want %q", output, err, want)
	}
	if output, err = run("echo no such service; exit 3"); err == nil || err.Error() != "exit status 3" || output != "no such service" {
		t.Errorf("%q, %v", output, err)
	}
	output, err = run("i=0; while [ $i -lt 3000 ]; do echo 'line of ä lot'; i=$((i+1)); done; echo the end")
	if err != nil || len(output) > maxOutput+2 || !strings.HasSuffix(output, "\nthe end") {
		t.Errorf("%d bytes, %v: %.40q", len(output), err, output)
	}
	if output, err = run("sleep 30 & echo $!"); err != nil { // an analyzer that keeps the output open
		t.Errorf("%v", err)
	}
	if pid, _ := strconv.Atoi(output); syscall.Kill(pid, syscall.SIGKILL) != nil {
		t.Errorf("what was started has ended: %s", output)
	}
	d.Config.Command = "/no/such/program {desired}"
	if _, err := (Program{}).Scale(t.Context(), d); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%v", err)
	}
}

// Whatever the command has started is killed with it.
func TestProgramIsKilled(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	d := decision("g", 1, 2)
	d.Config.Command = script(t, "sh -c 'exec 3>\"$0\"; echo >&3; sleep 1000' "+fifo+" & wait") + " {desired}"
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		started, err := os.Open(fifo)
		if err != nil {
			t.Error(err)
		}
		if _, err := started.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		cancel()
		if text, err := io.ReadAll(started); err != nil || len(text) > 0 { // until no process has the other end
			t.Errorf("%q, %v", text, err)
		}
		_ = started.Close()
	}()
	if _, err := (Program{}).Scale(ctx, d); err == nil || strings.Contains(err.Error(), "after") {
		t.Errorf("%v", err)
	}
	<-ended
	d.Config.Command, d.Config.Cooldown = script(t, "sleep 1000")+" {desired}", 50*time.Millisecond
	if _, err := (Program{}).Scale(t.Context(), d); err == nil || err.Error() != "it was killed after 50ms (AUTOSCALE_COOLDOWN_SEC)" {
		t.Errorf("%v", err)
	}
}
