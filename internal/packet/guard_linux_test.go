package packet

import (
	"os"
	"syscall"
	"testing"
)

// TestVectorsReadNothingAroundTheBody places bodies of all lengths next to inaccessible
// pages, before and after them.
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
	sample := samplePacket(20)
	for length := range min(len(sample), page) {
		for _, body := range [][]byte{readable[:length], readable[page-length:]} {
			copy(body, sample[len(sample)-length:])
			_, _ = checkBoth(t, body, 100)
			copy(body, sample)
			_, _ = checkBoth(t, body, 100)
		}
	}
}
