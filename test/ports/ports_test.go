package ports

import "testing"

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
	b := newBlock(t)
	taken, err := listen(b.start + 2)
	if err != nil {
		t.Skipf("somebody else has the port: %v", err)
	}
	defer taken.Close()
	free, err := b.free(3)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range free {
		if port == b.start+2 {
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
		free, err := newBlock(t).free(blockSize / 2)
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

// A process gets a port again after all other ports of its block, and never more ports than the
// block has.
func TestPortsAreReused(t *testing.T) {
	t.Parallel()
	b := newBlock(t)
	if _, err := b.free(blockSize); err == nil {
		t.Error("a block has more ports than it can have")
	}
	if _, err := b.free(blockSize / 2); err != nil {
		t.Errorf("ports that were free are not free again: %v", err)
	}
}

// newBlock returns the block that another process would get.
func newBlock(t *testing.T) *block {
	t.Helper()
	b := new(block)
	if err := b.reserve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.lock.Close() }) // nothing was written
	return b
}
