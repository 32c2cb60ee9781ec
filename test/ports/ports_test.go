package ports

import (
	"net"
	"testing"
)

func TestFree(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 10 {
		free, err := Free(20)
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range free {
			if port < first || port >= first+blocks*blockSize {
				t.Errorf("port %d is an ephemeral port", port)
			}
			if seen[port] {
				t.Errorf("port %d was handed out before", port)
			}
			seen[port] = true
		}
	}
}

// A port on which a process listens is left out.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	b := newProcess(t)
	taken, err := listen(b.next + 1)
	if err != nil {
		t.Skipf("somebody else has the port: %v", err)
	}
	defer taken.Close()
	free, err := b.free(3)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range free {
		if port == taken.Addr().(*net.TCPAddr).Port {
			t.Errorf("port %d was handed out while it was taken", port)
		}
	}
}

// Each process has its own block: the ports of a process are never those of another one, even if no
// process listens on them.
func TestBlocksOfProcesses(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 3 {
		free, err := newProcess(t).free(blockSize / 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range free {
			if seen[port] {
				t.Fatalf("port %d belongs to two processes", port)
			}
			seen[port] = true
		}
	}
}

// A process that needs more ports than a block has gets further ones, not the same again.
func TestFurtherBlocks(t *testing.T) {
	t.Parallel()
	r := newProcess(t)
	seen := map[int]bool{}
	for range 3 {
		free, err := r.free(blockSize)
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range free {
			if seen[port] {
				t.Fatalf("port %d was handed out before", port)
			}
			seen[port] = true
		}
	}
}

// newProcess returns the ports that another process would get.
func newProcess(t *testing.T) *reserved {
	t.Helper()
	r := new(reserved)
	if err := r.nextBlock(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, lock := range r.blocks {
			_ = lock.Close() // nothing was written
		}
	})
	return r
}
