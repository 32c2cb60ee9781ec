package loki

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
)

func BenchmarkPush(b *testing.B) {
	const records = 500
	var entries [][]byte
	for n := range records {
		line := fmt.Sprintf(`level=info msg="request served" method=GET path=/api/v1/orders/%d status=200 duration=12ms user=1234 region=eu-west-1`, n)
		entries = append(entries, entryOf(1700000000, int64(n), line, "trace_id", "5b8efff798038103d269b633813fc60c"))
	}
	body := string(snappy.Encode(nil, pushOf(streamOf(`{service_name="shop", pod="shop-1", namespace="prod", level="info"}`, entries...))))
	s := new(protocoltest.System).Start(b, "loki")
	s.Journal.Discard = true
	p := New(s.Receiver)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if response, _ := s.Do(p, push, body, protobufType, fmt.Sprint("X-Scope-OrgID: ", n)); response.Status != http.StatusNoContent {
			b.Fatalf("%d %s", response.Status, response.Body)
		}
	}
	b.ReportMetric(float64(b.N)*records/b.Elapsed().Seconds(), "records/s")
}
