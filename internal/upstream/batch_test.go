package upstream

import (
	"fmt"
	"strings"
	"testing"
)

type batchPacket struct{ body, trace string }

// batchCase is a sequence of packets, and the number of packets of each request.
type batchCase struct {
	name    string
	limit   int64
	traces  int // that the analyzer accepts
	packets []batchPacket
	want    []int
}

func TestBatches(t *testing.T) {
	const plain = `{"emitter_id":"e","packet_id":"%d","messages":[{"timestamp":1,"level":"INFO","message":"m"}]}`
	broken := strings.Replace(plain, ",", ",\n", 1)
	for _, test := range []batchCase{
		{"plain", 10, 1, []batchPacket{{plain, ""}, {plain, ""}, {plain, ""}}, []int{3}},
		{"limit", 2, 1, []batchPacket{{plain, ""}, {plain, ""}, {plain, ""}}, []int{2, 1}},
		{"line break at the end", 10, 1, []batchPacket{{plain + "\n", ""}, {plain, ""}, {plain + "\r\n", ""}}, []int{3}},
		{"line break within, first", 10, 1, []batchPacket{{broken, ""}, {plain, ""}, {plain, ""}}, []int{1, 2}},
		{"line break within, later", 10, 1, []batchPacket{{plain, ""}, {plain, ""}, {broken, ""}, {plain, ""}}, []int{2, 1, 1}},
		{"two line breaks at the end", 10, 1, []batchPacket{{plain, ""}, {plain + "\n\n", ""}, {plain, ""}}, []int{1, 1, 1}},
		{"traces", 10, 1, []batchPacket{{plain, "a"}, {plain, "a"}, {plain, "b"}, {plain, ""}, {plain, ""}}, []int{2, 1, 2}},
		{"traces, three a request", 10, 3, []batchPacket{{plain, "a"}, {plain, "a"}, {plain, "b"}, {plain, ""}, {plain, ""}, {plain, "a"}, {plain, "b"}}, []int{5, 2}},
		{"traces and line breaks", 10, 3, []batchPacket{{plain, "a"}, {broken, "b"}, {plain, "c"}}, []int{1, 1, 1}},
		{"bytes", 10, 1, []batchPacket{{padded(maxBatchBytes / 2), ""}, {padded(maxBatchBytes / 3), ""}, {padded(maxBatchBytes / 3), ""}}, []int{2, 1}},
		{"larger than a batch", 10, 1, []batchPacket{{padded(2 * maxBatchBytes), ""}, {plain, ""}}, []int{1, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) { checkBatches(t, test) })
		})
	}
}

// checkBatches checks the sizes of the requests, and that batches keep the bytes and the order
// of the packets.
func checkBatches(t *testing.T, test batchCase) {
	t.Helper()
	b, analyzer := startBatching(t, testConfig(), always(ok))
	b.batch.packets.Store(test.limit)
	analyzer.set(func(s *fakeSink) { s.capabilities.MaxTraces = test.traces })
	var packets []Delivery
	var sent []string
	for _, one := range test.packets {
		p := b.packets.of(t, one.body)
		p.Packet.Traceparent = one.trace
		packets = append(packets, p)
		sent = append(sent, string(p.Packet.Body))
	}
	b.Offer(packets)
	b.settler.await(t, len(packets))
	if got, want := batchSizes(analyzer.received()), fmt.Sprint(test.want); got != want {
		t.Errorf("requests carried %s packets, want %s", got, want)
	}
	var got []string
	for _, r := range analyzer.received() {
		got = append(got, r.bodies...)
	}
	if strings.Join(got, "|") != strings.Join(sent, "|") {
		t.Error("the analyzer got other bytes or another order")
	}
}

func padded(size int) string {
	return fmt.Sprintf(`{"emitter_id":"e","packet_id":"%%d","messages":[{"timestamp":1,"level":"INFO","message":"%s"}]}`, strings.Repeat("m", size))
}
