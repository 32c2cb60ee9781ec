package gelf

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/datagram"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/stream"
)

const (
	rejectedRecords = "distributor_input_rejected_records_total"
	refusedRequests = "distributor_input_refused_requests_total"
)

func text(n int) string {
	return fmt.Sprintf(`{"version":"1.1","host":"web","short_message":"m%d","level":3,"timestamp":1795964400.5,"_k":"v"}`, n)
}

func compressed(w io.WriteCloser, b *bytes.Buffer, content string) []byte {
	_, _ = io.WriteString(w, content)
	_ = w.Close()
	return b.Bytes()
}

func gzipped(content string) []byte {
	var b bytes.Buffer
	return compressed(gzip.NewWriter(&b), &b, content)
}

// chunked returns the chunks of a payload.
func chunked(id string, content []byte, count int) (chunks [][]byte) {
	size := (len(content) + count - 1) / count
	for n := range count {
		part := content[min(n*size, len(content)):min((n+1)*size, len(content))]
		chunks = append(chunks, append([]byte(chunkMagic+id+string([]byte{byte(n), byte(count)})), part...))
	}
	return chunks
}

func TestDatagrams(t *testing.T) {
	f := new(protocoltest.System).Start(t, "gelf")
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	sockets := NewSockets(f.Receiver)
	s := datagram.Serve(socket, datagram.Dependencies{Handler: sockets.HandleDatagrams, Stopped: sockets.DropChunks, Logger: logger})
	conn, err := net.Dial("udp", socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var b bytes.Buffer
	datagrams := [][]byte{[]byte(text(0)), gzipped(text(1)), compressed(zlib.NewWriter(&b), &b, text(2)), []byte("no JSON"), []byte("\x1f\x8bx"), {}}
	chunks := chunked("12345678", gzipped(text(3)), 3)
	datagrams = append(datagrams, chunks[2], chunks[0], chunks[0], chunks[1])
	datagrams = append(datagrams, chunked("abcdefgh", []byte(text(4)), 2)[0], []byte(chunkMagic))
	for _, d := range datagrams {
		if _, err := conn.Write(d); err != nil {
			t.Fatal(err)
		}
	}
	for n, m := range f.Await(4) {
		if m.Text != fmt.Sprint("m", n) || m.Level != "ERROR" || m.Timestamp != 1795964400500 || m.Metadata["input"] != "gelf" {
			t.Errorf("%+v", m)
		}
	}
	if got := f.Journal.Packets()[0].EmitterID; got != "web" {
		t.Errorf("the emitter is %q", got)
	}
	f.AwaitCount(rejectedRecords, "malformed", 3)
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if got := f.Count(rejectedRecords, "slow_request"); got != 1 {
		t.Errorf("%v records without a chunk are counted", got)
	}
}

// Compressed records may end with any byte.
func TestCompressedEnd(t *testing.T) {
	f := new(protocoltest.System).Start(t, "gelf")
	sockets := NewSockets(f.Receiver)
	const records = 500
	for n := range records {
		var b bytes.Buffer
		payload := compressed(zlib.NewWriter(&b), &b, text(n)+strings.Repeat(" ", n)) // the sum of the bytes varies
		sockets.HandleDatagrams(t.Context(), []datagram.Datagram{{From: netip.MustParseAddrPort("192.0.2.1:1"), Payload: payload}})
	}
	if got := len(f.Messages()); got != records {
		t.Errorf("%d of %d were accepted", got, records)
	}
}

// Records of which chunks are missing are bounded in time, number and bytes.
func TestBoundsOfChunks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a assembler
		from := netip.MustParseAddrPort("192.0.2.1:1")
		first := func(n, size int) {
			a.add(from, append([]byte(fmt.Sprintf("%s%08d\x00\x02", chunkMagic, n)), make([]byte, size)...), time.Now())
		}
		for n := range maxPartial + 3 {
			first(n, 1)
		}
		if len(a.records) != maxPartial || a.lost.overflowed != 3 {
			t.Errorf("%d are held, %+v", len(a.records), a.lost)
		}
		time.Sleep(chunkTimeout + time.Second)
		a.expire(time.Now().Add(-chunkTimeout))
		first(9999, 1)
		a.expire(time.Now().Add(-chunkTimeout))
		if len(a.records) != 1 || a.lost.expired != maxPartial || len(a.order) != 1 {
			t.Errorf("%d are held, %+v", len(a.records), a.lost)
		}
		for n := range 300 {
			first(n, 60_000)
		}
		if a.bytes > maxPartialBytes || a.bytes < maxPartialBytes-60_000 {
			t.Errorf("%d bytes are held", a.bytes)
		}
		a.expire(time.Now().Add(time.Hour))
		if a.bytes != 0 || len(a.records) != 0 {
			t.Errorf("%d bytes, %d records are left", a.bytes, len(a.records))
		}
		a.lost = lost{}
		for _, head := range []string{"\x00\x00", "\x00\x81", "\x02\x02", "\x01\x03"} {
			a.add(from, []byte(chunkMagic+"abcdefgh\x00\x02x"), time.Now())
			a.add(from, []byte(chunkMagic+"abcdefgh"+head+"x"), time.Now())
		}
		if a.lost.malformed != 4 || len(a.records) != 0 {
			t.Errorf("%+v, %d are held", a.lost, len(a.records))
		}
	})
}

func connect(t *testing.T, f *protocoltest.System) *net.TCPConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	s := stream.Serve(l, 10, stream.Dependencies{Handler: NewSockets(f.Receiver).HandleConnection, Logger: logger})
	t.Cleanup(func() { _ = s.Stop(t.Context()) })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func TestConnection(t *testing.T) {
	f := (&protocoltest.System{RetryAfter: time.Second}).Start(t, "gelf")
	conn := connect(t, f)
	f.Journal.SetFull(true)
	if _, err := io.WriteString(conn, text(0)+"\x00\x00"+text(1)+"\n\x00nothing\x00"+text(2)[:10]); err != nil {
		t.Fatal(err)
	}
	f.Journal.SetFull(false)
	f.Await(2)
	if _, err := io.WriteString(conn, text(2)[10:]); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseWrite()
	for n, m := range f.Await(3) {
		if m.Text != fmt.Sprint("m", n) {
			t.Errorf("%+v", m)
		}
	}
	f.AwaitCount(rejectedRecords, "malformed", 1)
}

func TestHostileConnection(t *testing.T) {
	f := new(protocoltest.System).Start(t, "gelf")
	_, _ = io.WriteString(connect(t, f), strings.Repeat("x", 3*maxFrame)) // it is closed before
	f.AwaitCount(refusedRequests, "too_large", 1)
}

// Anything that arrives as chunks, or as records, is taken or counted.
func FuzzSockets(f *testing.F) {
	f.Add([]byte(text(1)+"\x00"+text(2)), uint8(3))
	f.Add(bytes.Join(chunked("12345678", []byte(text(3)), 3), nil), uint8(20))
	f.Add(gzipped(text(1)), uint8(255))
	f.Fuzz(func(t *testing.T, data []byte, size uint8) {
		fixture := new(protocoltest.System).Start(t, "gelf")
		sockets := NewSockets(fixture.Receiver)
		var datagrams []datagram.Datagram
		for start := 0; start < len(data); start += int(size) + 1 {
			payload := data[start:min(start+int(size)+1, len(data))]
			datagrams = append(datagrams, datagram.Datagram{From: netip.MustParseAddrPort("192.0.2.1:1"), Payload: payload})
		}
		if len(datagrams) > 0 {
			sockets.HandleDatagrams(t.Context(), datagrams)
		}
		sockets.DropChunks()
		if sockets.chunks.bytes != 0 {
			t.Errorf("%d bytes of chunks are left", sockets.chunks.bytes)
		}
		c := &connection{client: fixture.Receiver.Client(protocoltest.Client, credential.OfCertificate(nil)), peer: netip.MustParseAddr("192.0.2.1"), batch: batch{receiver: fixture.Receiver}}
		if used, err := c.Consume(t.Context(), data, true); used != len(data) || err != nil {
			t.Errorf("%d of %d, %v", used, len(data), err)
		}
	})
}

// A client whose certificate is removed from the file may not send on its open connection either.
func TestReplacedTokens(t *testing.T) {
	f := (&protocoltest.System{Tokens: "web cert:web.example\n"}).Start(t, "gelf")
	ours, theirs := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		NewSockets(f.Receiver).HandleConnection(t.Context(), stream.Conn{
			Conn: theirs, Client: protocoltest.Client, Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "web.example"}},
		})
		_ = theirs.Close()
	}()
	_, _ = io.WriteString(ours, text(0)+"\x00") // Await fails otherwise
	f.Await(1)
	f.ReplaceTokens("other cert:other.example\n")
	_, _ = io.WriteString(ours, text(1)+"\x00")
	_ = ours.Close() // it may have ended
	<-ended
	if m := f.Messages(); len(m) != 1 {
		t.Errorf("%+v", m)
	}
	if n := f.Count(rejectedRecords, string(problem.Unauthorized)); n != 1 {
		t.Errorf("%v records are counted", n)
	}
}

func TestClosedConnectionsAreLoggedOnce(t *testing.T) {
	protocoltest.ClosedConnectionsAreLoggedOnce(t, "gelf", func(r *receiver.Receiver) stream.Handler {
		return NewSockets(r).HandleConnection
	}, bytes.Repeat([]byte("x"), 2*maxFrame))
}

// A connection keeps little memory, whatever it has sent.
func TestKeptMemory(t *testing.T) {
	f := (&protocoltest.System{Journal: protocoltest.Journal{Discard: true}}).Start(t, "gelf")
	c := &connection{client: f.Receiver.Client(protocoltest.Client, credential.OfCertificate(nil)), peer: protocoltest.Client, batch: batch{receiver: f.Receiver}}
	data := bytes.Repeat([]byte("1\x00"), 100_000)
	if used, err := c.Consume(t.Context(), data, false); used != len(data) || err != nil {
		t.Fatal(used, err)
	}
	if cap(c.payloads) > maxKeptPayloads {
		t.Errorf("%d payloads", cap(c.payloads))
	}
}
