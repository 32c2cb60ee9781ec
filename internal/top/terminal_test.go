//go:build linux || darwin

package top

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
)

// terminal is a terminal, with what was written to it so far.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File

	mu      sync.Mutex
	grown   *sync.Cond
	written bytes.Buffer // guarded by mu
	closed  bool         // guarded by mu
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Skip("there are no pseudo terminals:", err)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, master: master, slave: slave}
	term.grown = sync.NewCond(&term.mu)
	read := make(chan struct{})
	go func() {
		defer close(read)
		term.read()
	}()
	t.Cleanup(func() {
		_ = slave.Close()
		_ = master.Close()
		<-read
	})
	return term
}

func (term *terminal) read() {
	part := make([]byte, 4096)
	for {
		n, err := term.master.Read(part)
		term.mu.Lock()
		term.written.Write(part[:n])
		term.closed = err != nil
		term.grown.Broadcast()
		term.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// await waits until the text was written after the first n bytes, and returns all so far.
func (term *terminal) await(n int, want string) string {
	term.t.Helper()
	term.mu.Lock()
	defer term.mu.Unlock()
	for {
		all := term.written.String()
		if part := all[min(n, len(all)):]; strings.Contains(ansi.Strip(part), want) || strings.Contains(part, want) {
			return all
		}
		if term.closed {
			term.t.Fatalf("the terminal was closed without %q: %q", want, all)
		}
		term.grown.Wait()
	}
}

func (term *terminal) press(keys string) {
	term.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// Control sequences of the alternate screen buffer.
const (
	enterOtherScreen = "\x1b[?1049h"
	leaveOtherScreen = "\x1b[?1049l"
)

// The view draws on a real terminal, obeys keys, and leaves the terminal as it was.
func TestTerminal(t *testing.T) {
	term := newTerminal(t)
	s := newScreen(t, "operate")
	s.server.Stream("GET /v1/stream", true, "id: b1-1\nevent: snapshot\ndata: {\"boot\":\"b1\",\"seq\":1,\"time\":1,\"values\":{\"accepted_messages_per_s\":25000},\"analyzers\":{}}\n\n")
	ended := make(chan error, 1)
	go func() {
		ended <- Run(t.Context(), s.client, Options{Terminal: true, In: term.slave, Out: term.slave, Environ: []string{"TERM=xterm-256color", "NO_COLOR=1"}})
	}()
	term.await(0, "healthy")
	before := len(term.await(0, "draining, 6 left"))
	term.press("?")
	before = len(term.await(before, "reload file"))
	term.press("q")
	term.await(before, "healthy")
	term.press("q")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	all := term.await(before, leaveOtherScreen)
	if colours := regexp.MustCompile(`\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38|4[0-7])\b[0-9;]*m`).FindString(all); colours != "" {
		t.Errorf("%q in spite of NO_COLOR", colours)
	}
	if !strings.Contains(all, enterOtherScreen) {
		t.Errorf("%q", all)
	}
}
