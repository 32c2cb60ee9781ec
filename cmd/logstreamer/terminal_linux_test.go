package main

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// The tables of the demo, whose lines would wrap, do not fit on a narrow terminal.
func TestTablesFit(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there are no pseudo terminals:", err)
	}
	defer terminal.Close() //nolint:errcheck // nothing was written
	p := process{stdout: terminal}
	for width, want := range map[uint16]bool{0: true, 40: false, 79: false, 80: true, 200: true} {
		if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: width}); err != nil {
			t.Fatal(err)
		}
		if got := p.fitsTables(); got != want {
			t.Errorf("%d columns: %v", width, got)
		}
	}
}
