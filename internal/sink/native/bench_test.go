package native

import (
	"strings"
	"testing"
)

// BenchmarkReadResponse measures reading a buffered response on the fast and slow paths.
func BenchmarkReadResponse(b *testing.B) {
	for _, response := range []struct{ name, text string }{
		{"fast", "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"},
		{"fields", "HTTP/1.1 200 OK\r\nServer: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nX-Request-Id: 4711\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}"},
		{"chunks", "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"},
		{"empty", "HTTP/1.1 204 No Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"},
	} {
		b.Run("kind="+response.name, func(b *testing.B) {
			source := strings.NewReader(response.text)
			reader := newResponseReader()
			b.ReportAllocs()
			for b.Loop() {
				source.Reset(response.text)
				reader.Reset(source)
				if _, err := reader.Peek(1); err != nil {
					b.Fatal(err)
				}
				if r, err := reader.read(); err != nil || !isSuccess(r.status) {
					b.Fatal(r, err)
				}
			}
		})
	}
}
