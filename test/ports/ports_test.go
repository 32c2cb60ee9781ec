package ports

import (
	"net"
	"strconv"
	"testing"
)

func TestFree(t *testing.T) {
	free, err := Free(20)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range free {
		if port < first || port >= first+count {
			t.Errorf("port %d is an ephemeral port", port)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err != nil {
			t.Errorf("cannot listen on port %d: %v", port, err)
			continue
		}
		defer listener.Close()
	}
}
