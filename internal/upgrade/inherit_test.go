package upgrade

import (
	"net"
	"os"
	"testing"
)

// A process that may have hardly more descriptors than it inherits connections can start.
func TestConnectionsTakeNoFurtherDescriptors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	i := &Inheritance{}
	for range 10 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		f, err := c.(*net.TCPConn).File()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		i.connections = append(i.connections, f)
	}
	before := descriptors(t)
	conns := i.Connections()
	if len(conns) != 10 {
		t.Errorf("%d connections, want 10", len(conns))
	}
	if after := descriptors(t); after > before {
		t.Errorf("10 connections take %d more descriptors", after-before)
	}
	for _, c := range conns {
		c.Close()
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}
