package protocoltest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

// RejectedRecord are requests of a protocol with a record that is rejected.
type RejectedRecord struct {
	Protocol string
	New      func(*receiver.Receiver) receiver.HTTP
	Request  string
	Fields   []string
	// Reason is why the record is rejected. In Alone and Among, %s is a text that makes a record
	// larger than a packet may be.
	Reason problem.Code
	// Alone is a request with that record, Among one with others, and Others what those become.
	Alone, Among, Others string
	// Success is the status of a request that is accepted.
	Success int
}

// Check checks that the other records are accepted, once if the request comes again, and that a
// request with nothing else is refused.
func (r RejectedRecord) Check(t *testing.T) {
	t.Helper()
	const rejected = "distributor_input_rejected_records_total"
	s := new(System).Start(t, r.Protocol)
	p := r.New(s.Receiver)
	do := func(body string) http1.Response {
		response, _ := s.Do(p, r.Request, strings.ReplaceAll(body, "%s", strings.Repeat("x", MaxPacketBytes)), r.Fields...)
		return response
	}
	for again := range 2 {
		if response := do(r.Among); response.Status != r.Success {
			t.Errorf("among others: %d %s", response.Status, response.Body)
		}
		if n := s.Count(rejected, string(r.Reason)); n != float64(again+1) {
			t.Errorf("%v records were rejected", n)
		}
	}
	if got := s.NewText(); got != r.Others {
		t.Errorf("got\n%s\nwant\n%s", got, r.Others)
	}
	response := do(r.Alone)
	if response.Status != r.Reason.Status() || len(response.Body) == 0 {
		t.Errorf("alone: %d %s", response.Status, response.Body)
	}
	if response.Status == http.StatusRequestEntityTooLarge && !strings.Contains(string(response.Body), "MAX_BODY_BYTES") {
		t.Errorf("the limit is not in %s", response.Body)
	}
	if n := s.Count(rejected, string(r.Reason)); n != 2 {
		t.Errorf("a record of a refused request was counted as rejected: %v", n)
	}
}
