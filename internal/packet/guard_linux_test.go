package packet

import (
	"os"
	"syscall"
	"testing"
)

// TestVectorsReadNothingAroundTheBody puts bodies of all lengths between pages
// that may not be read, at the end of the page before and at the start.
func TestVectorsReadNothingAroundTheBody(t *testing.T) {
	page := os.Getpagesize()
	memory, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Munmap(memory) }()
	readable := memory[page : 2*page]
	for _, guard := range [][]byte{memory[:page], memory[2*page:]} {
		if err := syscall.Mprotect(guard, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	whole := samplePacket(20)
	for length := range min(len(whole), page) {
		for _, body := range [][]byte{readable[:length], readable[page-length:]} {
			copy(body, whole[len(whole)-length:])
			_, _ = checkBoth(t, body, 100)
			copy(body, whole)
			_, _ = checkBoth(t, body, 100)
		}
	}
}
