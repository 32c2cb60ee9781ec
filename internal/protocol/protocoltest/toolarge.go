package protocoltest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

// LargeRecord are requests of a protocol with a record that is larger than a packet may be, as %s.
type LargeRecord struct {
	Protocol string
	New      func(*receiver.Receiver) receiver.HTTP
	Request  string
	Fields   []string
	// Alone is a request with that record, Among one with others, and Others what those become.
	Alone, Among, Others string
	// Success is the status of a request that is accepted.
	Success int
}

// Check checks that the other records are accepted, once if the request comes again, and that a
// request with nothing else is refused.
func (l LargeRecord) Check(t *testing.T) {
	t.Helper()
	const rejected = "distributor_input_rejected_records_total"
	s := new(System).Start(t, l.Protocol)
	p := l.New(s.Receiver)
	do := func(body string) http1.Response {
		response, _ := s.Do(p, l.Request, strings.ReplaceAll(body, "%s", strings.Repeat("x", MaxPacketBytes)), l.Fields...)
		return response
	}
	for again := range 2 {
		if response := do(l.Among); response.Status != l.Success {
			t.Errorf("among others: %d %s", response.Status, response.Body)
		}
		if n := s.Count(rejected, "too_large"); n != float64(again+1) {
			t.Errorf("%v records were rejected", n)
		}
	}
	if got := s.NewText(); got != l.Others {
		t.Errorf("got\n%s\nwant\n%s", got, l.Others)
	}
	if response := do(l.Alone); response.Status != http.StatusRequestEntityTooLarge || !strings.Contains(string(response.Body), "MAX_BODY_BYTES") {
		t.Errorf("alone: %d %s", response.Status, response.Body)
	}
	if n := s.Count(rejected, "too_large"); n != 2 {
		t.Errorf("a record of a refused request was counted as rejected: %v", n)
	}
}
