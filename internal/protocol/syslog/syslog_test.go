package syslog

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

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

// serve returns a server over TCP and a connection to it.
func serve(t *testing.T, f *protocoltest.System) (*stream.Server, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	s := stream.Serve(l, 10, stream.Dependencies{Handler: New(f.Receiver, time.UTC).HandleConnection, Logger: logger})
	t.Cleanup(func() { _ = s.Stop(t.Context()) })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return s, conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestMessages(t *testing.T) {
	f := new(protocoltest.System).Start(t, "syslog")
	_, conn := serve(t, f)
	send(t, conn, "<165>1 2026-11-29T15:00:00.000003Z web app 7 ID1 [a@1 x=\"1\" x=\"\\]2\" y=\"\"][b] \xEF\xBB\xBFtext\n"+
		"<8>1 - - - - - -\n"+
		"no priority \xFF\n")
	f.Await(3)
	packets := f.Journal.Packets()
	if packets[0].EmitterID != "web" || packets[1].EmitterID != "127.0.0.1" || len(packets) != 2 {
		t.Fatalf("%+v", packets)
	}
	got := packets[0].Messages[0]
	want := protocoltest.Message{Timestamp: 1795964400000, Level: "NOTICE", Text: "text", Metadata: map[string]string{
		"input": "syslog", "facility": "local4", "appname": "app", "procid": "7", "msgid": "ID1", "time_unix_nano": "1795964400000003000",
		"sd.a@1.x": "1", "sd.a@1.x.2": "]2", "sd.a@1.y": "", "sd.b": "",
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	got = packets[1].Messages[0]
	if got.Level != "FATAL" || got.Text != "(empty)" || got.Metadata["time_unix_nano"] != "0" || got.Metadata["severity_text"] != "emerg" || got.Timestamp == 0 {
		t.Errorf("%+v", got)
	}
	got = packets[1].Messages[1]
	if got.Level != "INFO" || got.Text != "no priority \uFFFD" || got.Metadata["invalid_utf8"] != "true" {
		t.Errorf("%+v", got)
	}
}

// A connection that is not read while there is no capacity loses no message.
func TestNoCapacity(t *testing.T) {
	f := (&protocoltest.System{RetryAfter: time.Second}).Start(t, "syslog")
	_, conn := serve(t, f)
	f.Journal.SetFull(true)
	var text strings.Builder
	const lines = 2000
	for n := range lines {
		fmt.Fprintf(&text, "<14>1 2026-11-29T15:00:00Z web app - - - m%d\n", n)
	}
	send(t, conn, text.String())
	f.Journal.SetFull(false)
	for n, m := range f.Await(lines) {
		if m.Text != fmt.Sprint("m", n) {
			t.Fatalf("message %d is %q", n, m.Text)
		}
	}
}

// Messages that are submitted again and again count once: as accepted, as skewed and as rejected.
func TestCountsOfSeveralAttempts(t *testing.T) {
	f := (&protocoltest.System{RetryAfter: time.Millisecond}).Start(t, "syslog")
	_, conn := serve(t, f)
	f.Journal.SetFull(true)
	send(t, conn, "<14>1 2001-01-01T00:00:00Z web app - - - old\n8 zx\x9c\x01\x02\x03\x04\x05")
	f.Journal.AwaitRefused(3)
	f.Journal.SetFull(false)
	f.Await(1)
	f.AwaitCount(rejectedRecords, string(problem.UnsupportedEncoding), 1)
	for _, name := range []string{"records", "skewed_records", "rejected_records"} {
		if n := f.Count("distributor_input_"+name+"_total", ""); n != 1 {
			t.Errorf("%s: %v", name, n)
		}
	}
	if n := f.Count(refusedRequests, ""); n != 0 {
		t.Errorf("%v refusals are counted", n)
	}
}

// A stop submits the messages that were read; they are accepted, or counted.
func TestStop(t *testing.T) {
	for full, want := range map[bool]struct {
		accepted int
		lost     float64
	}{false: {2, 0}, true: {1, 1}} {
		f := (&protocoltest.System{RetryAfter: time.Second}).Start(t, "syslog")
		s, conn := serve(t, f)
		send(t, conn, "<14>first\n")
		f.Await(1)
		f.Journal.SetFull(full)
		send(t, conn, "<14>second\n<14>thi")
		if full {
			f.Journal.AwaitRefused(1)
		} else {
			f.Await(2)
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		accepted, lost := len(f.Messages()), f.Count(rejectedRecords, string(problem.Overloaded))
		if accepted != want.accepted || lost != want.lost {
			t.Errorf("full: %v, %d are accepted and %v counted as lost, want %+v", full, accepted, lost, want)
		}
	}
}

func TestRefusedConnections(t *testing.T) {
	long := "<14>" + strings.Repeat("x", maxFrame)
	for name, c := range map[string]struct{ text, name, reason string }{
		"compressed stream":  {"x\x9c\x01", refusedRequests, string(problem.UnsupportedEncoding)},
		"compressed message": {"8 zx\x9c\x01\x02\x03\x04\x05", rejectedRecords, string(problem.UnsupportedEncoding)},
		"too large":          {long + "\n", rejectedRecords, string(problem.TooLarge)},
		"half a frame":       {"100 <14>text", refusedRequests, string(problem.Malformed)},
	} {
		t.Run(name, func(t *testing.T) {
			f := new(protocoltest.System).Start(t, "syslog")
			_, conn := serve(t, f)
			send(t, conn, c.text)
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			f.AwaitCount(c.name, c.reason, 1)
			if m := f.Messages(); len(m) > 0 {
				t.Errorf("%+v", m)
			}
		})
	}
}

// If tokens are needed, only clients with a certificate may send.
func TestUnauthorized(t *testing.T) {
	f := (&protocoltest.System{Tokens: "web cert:web.example\n"}).Start(t, "syslog")
	_, conn := serve(t, f)
	send(t, conn, "<14>text\n")
	f.AwaitCount(refusedRequests, string(problem.Unauthorized), 1)
}

// A client whose certificate is removed from the file may not send on its open connection either.
func TestReplacedTokens(t *testing.T) {
	f := (&protocoltest.System{Tokens: "web cert:web.example\n"}).Start(t, "syslog")
	ours, theirs := net.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		New(f.Receiver, time.UTC).HandleConnection(t.Context(), stream.Conn{
			Conn: theirs, Client: protocoltest.Client, Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "web.example"}},
		})
		_ = theirs.Close()
	}()
	send(t, ours, "<14>one\n")
	f.Await(1)
	f.ReplaceTokens("other cert:other.example\n")
	send(t, ours, "<14>two\n")
	_ = ours.Close() // it may have ended
	<-ended
	if m := f.Messages(); len(m) != 1 {
		t.Errorf("%+v", m)
	}
	if n := f.Count(rejectedRecords, string(problem.Unauthorized)); n != 1 {
		t.Errorf("%v records are counted", n)
	}
}

func TestDatagrams(t *testing.T) {
	f := new(protocoltest.System).Start(t, "syslog")
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	s := datagram.Serve(socket, datagram.Dependencies{Handler: New(f.Receiver, time.UTC).HandleDatagrams, Logger: logger})
	conn, err := net.Dial("udp", socket.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range []string{"<14>Nov 29 15:00:00 web app: two\nlines\n", "\n", "<11>from the peer\x00", "zx\x9c"} {
		send(t, conn, text)
	}
	messages := f.Await(2)
	if messages[0].Text != "two\nlines" || messages[1].Text != "from the peer" || messages[1].Level != "ERROR" {
		t.Errorf("%+v", messages)
	}
	if packets := f.Journal.Packets(); packets[0].EmitterID != "web" || packets[1].EmitterID != "127.0.0.1" {
		t.Errorf("%+v", packets)
	}
	f.AwaitCount(rejectedRecords, string(problem.UnsupportedEncoding), 1)
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestClosedConnectionsAreLoggedOnce(t *testing.T) {
	protocoltest.ClosedConnectionsAreLoggedOnce(t, "syslog", func(r *receiver.Receiver) stream.Handler {
		return New(r, time.UTC).HandleConnection
	}, []byte{compressed})
}
