package forward

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/protocoltest"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
	"github.com/logstreamer/logstreamer/internal/protocol/record"
	"github.com/logstreamer/logstreamer/internal/protocol/stream"
)

const (
	rejectedRecords = "distributor_input_rejected_records_total"
	refusedRequests = "distributor_input_refused_requests_total"
)

// client is a connection to a server of the fixture.
type client struct {
	*testing.T
	net.Conn
	server *stream.Server
}

func dial(t *testing.T, f *protocoltest.System, config Config) *client {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	s := stream.Serve(l, 10, stream.Dependencies{Handler: New(config, f.Receiver).HandleConnection, Logger: logger})
	t.Cleanup(func() { _ = s.Stop(t.Context()) })
	c := &client{T: t, server: s}
	if c.Conn, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (c *client) send(data ...[]byte) {
	c.Helper()
	if _, err := c.Write(bytes.Join(data, nil)); err != nil {
		c.Fatal(err)
	}
}

// read reads a value.
func (c *client) read() any {
	c.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	var data []byte
	for {
		if value, rest, err := decode(data, 0); err == nil && len(rest) == 0 {
			return value
		}
		var one [1]byte
		if _, err := io.ReadFull(c, one[:]); err != nil {
			c.Fatalf("%v after %x", err, data)
		}
		data = append(data, one[0])
	}
}

// closed checks that the connection ends.
func (c *client) closed() {
	c.Helper()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if rest, err := io.ReadAll(c); err != nil && strings.Contains(err.Error(), "timeout") || len(rest) > 0 {
		c.Errorf("%q, %v", rest, err)
	}
}

func ack(chunk string) any { return pairs{{"ack", chunk}} }

func log(text string) pairs { return pairs{{"log", text}} }

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data)
	_ = w.Close()
	return b.Bytes()
}

func TestModes(t *testing.T) {
	at := time.Date(2026, 11, 29, 15, 0, 0, 5, time.UTC)
	entry := func(text string) []byte { return pack([]any{packTime(at), log(text)}) }
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	two := append(entry("a"), entry("b")...)
	for name, frame := range map[string]any{
		"message":       []any{"tag", packTime(at), log("a")},
		"forward":       []any{"tag", []any{[]any{packTime(at), log("a")}, []any{packTime(at), log("b")}}},
		"metadata":      []any{"tag", []any{[]any{[]any{packTime(at), pairs{}}, log("a")}, []any{[]any{packTime(at), pairs{{"k", "v"}}}, log("b")}}},
		"packed bin":    []any{"tag", two},
		"packed str":    []any{"tag", string(two)},
		"gzip":          []any{"tag", append(gzipped(entry("a")), gzipped(entry("b"))...), pairs{{"compressed", "gzip"}}},
		"zstd":          []any{"tag", encoder.EncodeAll(two, nil), pairs{{"compressed", "zstd"}}},
		"text":          []any{"tag", two, pairs{{"compressed", "text"}, {"size", 2}}},
		"no option map": []any{"tag", two, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := new(protocoltest.System).Start(t, "forward")
			c := dial(t, f, Config{})
			c.send(pack(nil, frame)) // nil is a heartbeat
			texts := []string{"a", "b"}
			if name == "message" {
				texts = texts[:1]
			}
			for n, m := range f.Await(len(texts)) {
				if m.Text != texts[n] || m.Timestamp != at.UnixMilli() || m.Metadata["time_unix_nano"] != fmt.Sprint(at.UnixNano()) ||
					m.Metadata["fluent.tag"] != "tag" || m.Metadata["body_key"] != "log" || m.Metadata["input"] != "forward" {
					t.Errorf("%+v", m)
				}
				if name == "metadata" && n == 1 && m.Metadata["fluent.metadata.k"] != "v" {
					t.Errorf("%+v", m)
				}
			}
		})
	}
}

func TestRecord(t *testing.T) {
	f := new(protocoltest.System).Start(t, "forward")
	c := dial(t, f, Config{})
	c.send(pack(
		[]any{"app.web", 1795964400, pairs{
			{"message", "text"}, {"level", "warn"}, {"kubernetes", pairs{{"pod_name", "web-1"}, {"labels", []any{"a"}}}},
			{"n", 7}, {"x", 1.5}, {"ok", true}, {"none", nil}, {"trace_id", "t"}, {"blob", []byte("\xff")}, {5, "five"},
		}, pairs{{"chunk", "c1"}}},
		[]any{"app", 0, pairs{{"a", 1}}, pairs{{"chunk", "c2"}}},
	))
	if got := c.read(); !reflect.DeepEqual(got, ack("c1")) {
		t.Errorf("%v", got)
	}
	if got := c.read(); !reflect.DeepEqual(got, ack("c2")) {
		t.Errorf("%v", got)
	}
	packets := f.Journal.Packets()
	if packets[0].EmitterID != "app.web/web-1" || packets[0].PacketID != "forward-c1-0" || packets[1].EmitterID != "app" {
		t.Errorf("%+v", packets)
	}
	got := packets[0].Messages[0]
	want := map[string]string{
		"input": "forward", "fluent.tag": "app.web", "body_key": "message", "severity_text": "warn", "kubernetes.pod_name": "web-1",
		"kubernetes.labels": `["a"]`, "n": "7", "x": "1.5", "ok": "true", "none": "", "attributes.trace_id": "t", "blob": "/w==", "5": "five",
	}
	if got.Text != "text" || got.Level != "WARN" || got.Timestamp != 1795964400000 || !reflect.DeepEqual(got.Metadata, want) {
		t.Errorf("%+v", got)
	}
	if types := map[string]string{"n": "i", "x": "d", "ok": "b", "none": "n", "kubernetes.labels": "j"}; !reflect.DeepEqual(got.Types, types) {
		t.Errorf("%+v", got.Types)
	}
	got = packets[1].Messages[0]
	if got.Text != `{"a":1}` || got.BodyType != "j" || got.Metadata["time_unix_nano"] != "0" {
		t.Errorf("%+v", got)
	}
}

// A chunk that is sent again is acknowledged and not accepted again.
func TestRepeatedChunk(t *testing.T) {
	f := new(protocoltest.System).Start(t, "forward")
	c := dial(t, f, Config{})
	frame := pack([]any{"t", []any{[]any{1, log("a")}}, pairs{{"chunk", "c\"1"}}})
	for range 2 {
		c.send(frame)
		if got := c.read(); !reflect.DeepEqual(got, ack("c\"1")) {
			t.Errorf("%v", got)
		}
	}
	if len(f.Messages()) != 1 {
		t.Errorf("%+v", f.Journal.Packets())
	}
}

// An acknowledgement waits for capacity; signals that are not logs are acknowledged.
func TestHeldAcknowledgement(t *testing.T) {
	f := (&protocoltest.System{RetryAfter: time.Second}).Start(t, "forward")
	c := dial(t, f, Config{})
	c.send(pack([]any{"t", []byte("metrics"), pairs{{"chunk", "m"}, {"fluent_signal", 1}}}))
	if got := c.read(); !reflect.DeepEqual(got, ack("m")) {
		t.Errorf("%v", got)
	}
	f.AwaitCount(rejectedRecords, string(problem.InvalidPacket), 1)
	f.Journal.SetFull(true)
	c.send(pack([]any{"t", 1, log("a")}, []any{"t", 1, log("b"), pairs{{"chunk", "c"}}}))
	_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("a response before there is capacity")
	}
	f.Journal.SetFull(false)
	if got := c.read(); !reflect.DeepEqual(got, ack("c")) || len(f.Messages()) != 2 {
		t.Errorf("%v, %+v", got, f.Messages())
	}
}

// A connection on which a chunk arrives while there is no capacity is closed after holdTimeout.
func TestHeldChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := (&protocoltest.System{Journal: protocoltest.Journal{NoCapacity: true}}).Start(t, "forward")
		local, remote := net.Pipe()
		defer local.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer remote.Close()
			New(Config{}, f.Receiver).HandleConnection(ctx, stream.Conn{Conn: remote})
		}()
		time.Sleep(time.Hour) // while nothing arrives
		begun := time.Now()
		_, _ = local.Write(pack([]any{"t", 1, log("a"), pairs{{"chunk", "c"}}}))
		<-ended
		if held := time.Since(begun); held != holdTimeout || f.Count(refusedRequests, string(problem.Overloaded)) != 1 {
			t.Errorf("closed after %v, %v are counted", held, f.Count(refusedRequests, string(problem.Overloaded)))
		}
	})
}

// A stop while there is no capacity closes the connection without an acknowledgement, and counts
// events whose client does not send them again.
func TestStop(t *testing.T) {
	for chunk, want := range map[string]float64{"": 7, "c": 0} {
		f := (&protocoltest.System{RetryAfter: time.Second}).Start(t, "forward")
		c := dial(t, f, Config{})
		c.send(pack([]any{"t", 1, log("first"), pairs{{"chunk", "first"}}}))
		c.read()
		f.Journal.SetFull(true)
		options := pairs{{"size", 7}}
		if chunk != "" {
			options = append(options, [2]any{"chunk", chunk})
		}
		c.send(pack([]any{"t", pack([]any{1, log("second")}), options}))
		f.Journal.AwaitRefused(1)
		if err := c.server.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		c.closed()
		lost := f.Count(rejectedRecords, string(problem.Overloaded))
		if len(f.Messages()) != 1 || lost != want {
			t.Errorf("chunk %q: %+v are accepted, %v are counted as lost, want %v", chunk, f.Messages(), lost, want)
		}
	}
}

func TestHostile(t *testing.T) {
	const maxBody = 4 << 20
	bomb := gzipped(make([]byte, maxBody+1))
	nested := append(pack("t", 1), bytes.Repeat([]byte{0x91}, 100)...)
	// A snappy block of 50 bytes, whose header is a time and the header of a record: it has a map
	// without its members.
	block := append([]byte{0x32, 0xc4, 0x31, 0xdf, 0xff, 0xff, 0xff, 0xff}, make([]byte, 44)...)
	compressedEvent := append([]byte{0x94, 0xa1, 't'}, append(block, pack(pairs{{"compressed", "snappy"}})...)...)
	for name, c := range map[string]struct {
		data         []byte
		name, reason string
	}{
		"no MessagePack":   {[]byte{0xc1}, refusedRequests, "malformed"},
		"HTTP":             {[]byte("GET / HTTP/1.1\r\n\r\n"), refusedRequests, "malformed"},
		"no array":         {pack("text"), refusedRequests, "malformed"},
		"short array":      {pack([]any{"t"}), refusedRequests, "malformed"},
		"no tag":           {pack([]any{1, 1, log("a")}), refusedRequests, "malformed"},
		"no record":        {pack([]any{"t", 1}), refusedRequests, "malformed"},
		"half a frame":     {pack([]any{"t", 1, log("a")})[:20], refusedRequests, "malformed"},
		"nested":           {append([]byte{0x93}, nested...), refusedRequests, "malformed"},
		"huge":             {[]byte{0x92, 0xa1, 't', 0xc6, 0xff, 0xff, 0xff, 0xff}, refusedRequests, "too_large"},
		"bomb":             {pack([]any{"t", bomb, pairs{{"compressed", "gzip"}}}), rejectedRecords, "too_large"},
		"no gzip":          {pack([]any{"t", []byte("x"), pairs{{"compressed", "gzip"}}}), rejectedRecords, "malformed"},
		"unknown coding":   {pack([]any{"t", []byte("x"), pairs{{"compressed", "br"}}}), refusedRequests, "unsupported_encoding"},
		"large record":     {pack([]any{"t", 1, log(strings.Repeat("x", protocoltest.MaxPacketBytes))}), rejectedRecords, "too_large"},
		"record is text":   {pack([]any{"t", 1, "text"}), rejectedRecords, "malformed"},
		"entry is text":    {pack([]any{"t", []any{"text"}}), rejectedRecords, "malformed"},
		"packed is broken": {pack([]any{"t", "\x92\x01"}), rejectedRecords, "malformed"},
		"compressed event": {compressedEvent, rejectedRecords, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			f := (&protocoltest.System{MaxBodyBytes: maxBody}).Start(t, "forward")
			conn := dial(t, f, Config{})
			_, _ = conn.Write(c.data) // the server may close the connection first
			_ = conn.Conn.(*net.TCPConn).CloseWrite()
			f.AwaitCount(c.name, c.reason, 1)
			conn.closed()
			if m := f.Messages(); len(m) > 0 {
				t.Errorf("%+v", m)
			}
		})
	}
}

// A tag that takes more than half of a packet is not copied for each of a million events.
func TestLargeTag(t *testing.T) {
	const events = 1_000_000
	f := new(protocoltest.System).Start(t, "forward")
	c := dial(t, f, Config{})
	entries := bytes.Repeat([]byte{0x92, 0, 0x80}, events) // [0, {}]
	c.send(pack([]any{strings.Repeat("t", protocoltest.MaxPacketBytes), entries, pairs{{"chunk", "c"}, {"size", 3}}}))
	if got := c.read(); !reflect.DeepEqual(got, ack("c")) {
		t.Errorf("%v", got)
	}
	if n := f.Count(rejectedRecords, "too_large"); n != 3 || len(f.Messages()) > 0 {
		t.Errorf("%v are rejected", n)
	}
}

// Events are accepted even if other events of their frame are refused for good.
func TestRejectedEventsAmongOthers(t *testing.T) {
	f := new(protocoltest.System).Start(t, "forward")
	c := dial(t, f, Config{})
	entries := pack([]any{1, log("a")}, []any{1}, []any{1, log("b")}, 5, []any{1, log("c")})
	c.send(pack([]any{"t", append(entries, 0xc1), pairs{{"chunk", "c"}}}))
	if got := c.read(); !reflect.DeepEqual(got, ack("c")) {
		t.Errorf("%v", got)
	}
	if len(f.Messages()) != 3 || f.Count(rejectedRecords, "malformed") != 3 {
		t.Errorf("%+v", f.Messages())
	}
}

// Chunks that every attempt would refuse are counted and acknowledged, so that clients do not send
// them again for ever, and the frames with them are accepted.
func TestChunksRejectedForGood(t *testing.T) {
	const maxBody = 4 << 20
	for name, c := range map[string]struct {
		entries []byte
		reason  string
	}{
		"bomb":    {gzipped(make([]byte, maxBody+1)), "too_large"},
		"no gzip": {[]byte("x"), "malformed"},
	} {
		f := (&protocoltest.System{MaxBodyBytes: maxBody}).Start(t, "forward")
		conn := dial(t, f, Config{})
		bad := []any{"t", c.entries, pairs{{"compressed", "gzip"}, {"chunk", "bad"}, {"size", 7}}}
		unacknowledged := []any{"t", c.entries, pairs{{"compressed", "gzip"}, {"size", 2}}}
		conn.send(pack([]any{"t", 1, log("a")}, unacknowledged, []any{"t", 1, log("b")}, bad, []any{"t", 1, log("c"), pairs{{"chunk", "good"}}}))
		for _, chunk := range []string{"bad", "good"} {
			if got := conn.read(); !reflect.DeepEqual(got, ack(chunk)) {
				t.Errorf("%s: %v, want %s", name, got, chunk)
			}
		}
		if len(f.Messages()) != 3 || f.Count(rejectedRecords, c.reason) != 9 {
			t.Errorf("%s: %+v, %v are rejected", name, f.Messages(), f.Count(rejectedRecords, c.reason))
		}
	}
}

// Frames that make more packets than the journal ever takes together are accepted in parts, each
// event once, whether they have a chunk or not.
func TestFramesOfMorePacketsThanTheJournalTakes(t *testing.T) {
	for _, chunk := range []string{"", "c"} {
		f := (&protocoltest.System{RetryAfter: time.Second}).Start(t, "forward")
		f.Journal.Limit = 3
		conn := dial(t, f, Config{})
		var entries []byte
		for n := range 10 {
			entries = append(entries, pack([]any{1, pairs{{"log", fmt.Sprint(n)}, {"host", fmt.Sprint(n)}}})...)
		}
		options := pairs{{"size", 10}}
		if chunk != "" {
			options = append(options, [2]any{"chunk", chunk})
		}
		conn.send(pack([]any{"t", 1, log("before")}, []any{"t", entries, options}, []any{"t", 1, log("after"), pairs{{"chunk", "after"}}}))
		if chunk != "" {
			if got := conn.read(); !reflect.DeepEqual(got, ack(chunk)) {
				t.Errorf("%v", got)
			}
		}
		if got := conn.read(); !reflect.DeepEqual(got, ack("after")) {
			t.Errorf("%v", got)
		}
		seen := make(map[string]int)
		for _, m := range f.Messages() {
			seen[m.Text]++
		}
		if len(seen) != 12 || len(f.Messages()) != 12 {
			t.Errorf("chunk %q: %v", chunk, seen)
		}
	}
}

func TestHeartbeats(t *testing.T) {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := ServeHeartbeats(socket)
	conn, err := net.Dial("udp", socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, beat := range []string{"\x00", "long beat"} {
		if _, err := conn.Write([]byte(beat)); err != nil {
			t.Fatal(err)
		}
		var response [2]byte
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := conn.Read(response[:]); err != nil || n != 1 || response[0] != 0 {
			t.Errorf("%x, %v", response[:n], err)
		}
	}
	if err := h.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// mute is a connection that can only be read.
type mute struct{ net.Conn }

func (mute) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// Events without a chunk are accepted also when the acknowledgement of a chunk that arrived with
// them cannot be written.
func TestUnwritableAcknowledgement(t *testing.T) {
	f := new(protocoltest.System).Start(t, "forward")
	conn, sender := net.Pipe()
	go func() {
		_, _ = sender.Write(pack([]any{"t", 1, log("a")}, []any{"t", []byte("metrics"), pairs{{"chunk", "m"}, {"fluent_signal", 1}}}))
		_ = sender.Close()
	}()
	New(Config{}, f.Receiver).HandleConnection(t.Context(), stream.Conn{Conn: mute{conn}})
	if got := f.Messages(); len(got) != 1 || got[0].Text != "a" {
		t.Errorf("%+v", got)
	}
}

func TestClosedConnectionsAreLoggedOnce(t *testing.T) {
	protocoltest.ClosedConnectionsAreLoggedOnce(t, "forward", func(r *receiver.Receiver) stream.Handler {
		return New(Config{}, r).HandleConnection
	}, pack([]any{"t", 1, log("a")})[:8])
}

// A sender without the shared key is logged once, too.
func TestUnauthorizedConnectionsAreLoggedOnce(t *testing.T) {
	protocoltest.ClosedConnectionsAreLoggedOnce(t, "forward", func(r *receiver.Receiver) stream.Handler {
		return New(Config{SharedKey: "key"}, r).HandleConnection
	}, pack([]any{"t", 1, log("a")}))
}

// A connection keeps little memory, whatever it has sent: many frames of a few bytes, or large ones.
func TestKeptMemory(t *testing.T) {
	f := (&protocoltest.System{Journal: protocoltest.Journal{Discard: true}}).Start(t, "forward")
	s := &session{protocol: New(Config{}, f.Receiver), client: f.Receiver.Client(protocoltest.Client, credential.OfCertificate(nil))}
	s.translator = translator{receiver: f.Receiver, peer: protocoltest.Client}
	large := strings.Repeat(`\`, 200<<10)
	for _, data := range [][]byte{
		bytes.Repeat(pack([]any{"t", 1, pairs{}}), 100_000),
		pack([]any{"t", 1, pairs{{"host", large}, {"log", large}}}),
		pack([]any{"t", []any{[]any{[]any{1, pairs{{"k", large}}}, pairs{}}}}),
	} {
		if used, err := s.Consume(t.Context(), data, false); used != len(data) || err != nil {
			t.Fatal(used, err)
		}
		held := 0
		for _, f := range s.pending[:cap(s.pending)] {
			if f != nil {
				held++
			}
		}
		kept := cap(s.json) + cap(s.metadata) + cap(s.emitter)
		if cap(s.pending) > 2*maxPending || held > 0 || kept > record.KeptBytes {
			t.Errorf("after %.20q…: %d frames of %d are held, and %d bytes", data, held, cap(s.pending), kept)
		}
	}
}
