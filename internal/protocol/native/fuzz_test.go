package native

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// FuzzHandle posts any body with any header. Each response is one of the contract's, it is JSON, a
// single packet is taken exactly when packet.Check accepts it, and no memory stays held.
func FuzzHandle(f *testing.F) {
	addRequests(f)
	o := standard()
	o.native.MaxBodyBytes = 64 << 10
	journal := &greedyJournal{}
	h := newHandler(f, o, journal)
	f.Fuzz(func(t *testing.T, body []byte, contentType, encoding, trace string, chunks bool) {
		journal.taken = nil
		size := len(body)
		if chunks {
			size = -1
		}
		request, ok := requestOf(t, bytes.NewReader(body), size,
			"Content-Type: "+contentType, "Content-Encoding: "+encoding, "Traceparent: "+trace)
		if !ok {
			return
		}
		var response http1.Response
		h.Handle(request, &response)
		if response.Sent != nil {
			response.Sent()
		}
		checkResponse(t, &response, journal.taken)
		plain := encoding == "" || encoding == "identity"
		if plain && contentType == "application/x-ndjson" {
			checkList(t, response.Body, body, journal.taken)
		}
		if plain && contentType == "application/json" {
			_, err := packet.Check(body, o.native.MaxPacketMessages)
			accepts := err == nil && len(body) <= o.native.MaxBodyBytes
			if taken := response.Status == http.StatusAccepted; taken != accepts {
				t.Errorf("status %d, but the checker says %v", response.Status, err)
			}
		}
		if left := h.memory.Held(); left != 0 {
			t.Errorf("%d bytes are still counted as held", left)
		}
	})
}

// addRequests adds requests to the seed corpus, each with a length and in chunks.
func addRequests(f *testing.F) {
	f.Helper()
	body := aPacket("p", 0)
	for _, seed := range []struct{ body, contentType, encoding, trace string }{
		{body, "application/json", "", ""},
		{body, "", "identity", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{body + "\nx\n" + body, "application/x-ndjson", "", "x"},
		{compress(f, "gzip", body), "application/json; charset=utf-8", "gzip", ""},
		{compress(f, "zstd", body, zstd.WithEncoderCRC(false)), "application/x-ndjson", "zstd", ""},
		{`{"emitter_id":"\u0000","packet_id":"\ud800","messages":[{}]}`, "text/plain", "br", ""},
		{strings.Repeat("[", 1000), "application/json", "", ""},
		{strings.Repeat("\n", 1000), "application/x-ndjson", "", ""},
		{strings.Repeat("x\n", 1500) + body, "application/x-ndjson", "", ""},
	} {
		f.Add([]byte(seed.body), seed.contentType, seed.encoding, seed.trace, false)
		f.Add([]byte(seed.body), seed.contentType, seed.encoding, seed.trace, true)
	}
}

// checkList checks that exactly the lines are taken that the list of a response does not have.
func checkList(t *testing.T, response, body []byte, taken []record) {
	t.Helper()
	var document struct{ Refused []refusedLine }
	if err := json.Unmarshal(response, &document); err != nil || document.Refused == nil {
		return
	}
	listed := make(map[int]bool)
	for _, r := range document.Refused {
		listed[r.Line] = true
	}
	lines := packet.LinesOf(body)
	for line, number, ok := lines.Next(); ok; line, number, ok = lines.Next() {
		switch {
		case listed[number]:
			delete(listed, number)
		case len(taken) == 0 || taken[0].body != string(line):
			t.Errorf("line %d is neither listed nor taken", number)
		default:
			taken = taken[1:]
		}
	}
	if len(listed)+len(taken) > 0 {
		t.Errorf("listed besides: %v, taken besides: %v", listed, taken)
	}
}

func checkResponse(t *testing.T, response *http1.Response, taken []record) {
	t.Helper()
	var document struct {
		Status   any
		Accepted int
		Code     problem.Code
	}
	if err := json.Unmarshal(response.Body, &document); err != nil {
		t.Fatalf("%q: %v", response.Body, err)
	}
	status := response.Status
	switch status {
	case http.StatusAccepted, http.StatusMultiStatus:
		if claimed := max(document.Accepted, 1); claimed != len(taken) {
			t.Errorf("%d packets are claimed, %d were taken", claimed, len(taken))
		}
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		if len(taken) > 0 || document.Code.Status() != status {
			t.Errorf("status %d, code %s, %d packets taken", status, document.Code, len(taken))
		}
	default:
		t.Errorf("status %s", strconv.Itoa(status))
	}
	for _, r := range taken {
		if r.messages < 1 || r.packetID == "" {
			t.Errorf("taken: %+v", r)
		}
	}
}
