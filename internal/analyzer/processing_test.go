package analyzer

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"testing"

	"github.com/valyala/fasthttp"
)

// renumberedPacket returns a packet of five messages and a function that
// changes its id in place.
func renumberedPacket() (body []byte, renumber func(int)) {
	body = []byte(packetJSON("packet-0000000000", 5))
	digits := bytes.Index(body, []byte("0000000000"))
	return body, func(n int) {
		for i := digits + 9; i >= digits; i-- {
			body[i] = byte('0' + n%10)
			n /= 10
		}
	}
}

// BenchmarkPacket measures one packet without HTTP.
func BenchmarkPacket(b *testing.B) {
	a := newAnalyzer(b, nil)
	defer a.Stop(b.Context())
	body, renumber := renumberedPacket()
	w := newWorkspace(testBodyBytes)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		renumber(n)
		if _, err := a.process(w, body, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequest measures one request over loopback with as many packets as
// its name says, including the client.
func BenchmarkRequest(b *testing.B) {
	for _, packets := range []int{1, 16} {
		b.Run(fmt.Sprint(packets), func(b *testing.B) {
			a := newAnalyzer(b, nil)
			a.Start()
			defer a.Stop(b.Context())
			conn, err := net.Dial("tcp", a.Addr())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			body, renumber := renumberedPacket()
			responses := bufio.NewReader(conn)
			var request []byte
			var response fasthttp.Response
			sent := 0
			b.ReportAllocs()
			for b.Loop() {
				request = fmt.Appendf(request[:0], "POST /ingest HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n", packets*(len(body)+1))
				for range packets {
					renumber(sent)
					sent++
					request = append(append(request, body...), '\n')
				}
				if _, err := conn.Write(request); err != nil {
					b.Fatal(err)
				}
				if err := response.Read(responses); err != nil || response.StatusCode() != 200 {
					b.Fatalf("%v %d %s", err, response.StatusCode(), response.Body())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(sent), "µs/packet")
			if got := a.Stats().Packets; got != int64(sent) {
				b.Errorf("%d of %d packets processed", got, sent)
			}
		})
	}
}
