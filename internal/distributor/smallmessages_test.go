package distributor

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/test/natstest"
)

// With NATS servers that take small messages, the records of large requests are stored in packets
// that fit, a record that does not fit is rejected alone, and a packet that does not fit is refused
// with the setting and its value.
func TestServersThatTakeSmallMessages(t *testing.T) {
	_, targets := startAnalyzers(t, 1)
	c := cluster(t, natstest.Options{More: "max_payload: 65536"}, targets...)
	c.Inputs = Inputs{{Name: InputHTTP}}
	s := startSystem(t, c)
	const records, bytes = 600, 1000
	var values []string
	for n := range records {
		values = append(values, fmt.Sprintf(`["%d",%q]`, n+1, strings.Repeat("x", bytes)))
	}
	values = append(values, fmt.Sprintf(`["1",%q]`, strings.Repeat("x", 1<<16)))
	s.checkHTTPInput(t, httpInputCase{InputHTTP, "POST /loki/api/v1/push", `{"streams":[{"stream":{},"values":[` + strings.Join(values, ",") + `]}]}`, http.StatusNoContent})
	until(t, "all records that fit are delivered", func() bool { return s.Status().Delivered.Messages == records })
	body := fmt.Sprintf(`{"emitter_id":"e","packet_id":"p","messages":[{"timestamp":1640995200000,"level":"INFO","message":%q}]}`, strings.Repeat("x", 1<<16))
	response, err := s.client.Post("http://"+s.Addr()+"/ingest", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(string(text), "at most 65536 (max_payload)") {
		t.Errorf("%d %s", response.StatusCode, text)
	}
}
