package distributor

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/intake"
)

// Each input with a socket of its own accepts messages, even if the distributor stops at once.
func TestStreamInputs(t *testing.T) {
	a := analyzertest.New(t)
	config := quick(t, Target{URL: a.URL(), Weight: 1})
	messages := map[string]string{
		"forward":    "\x93\xa1t\x01\x81\xa3log\xa4text",
		"syslog-udp": "<14>text", "syslog-tcp": "<14>text\n", "gelf-udp": `{"short_message":"text"}`, "gelf-tcp": `{"short_message":"text"}` + "\x00",
	}
	config.Inputs = nil
	for name := range messages {
		config.Inputs = append(config.Inputs, Input{name, "127.0.0.1:0"})
	}
	s := startSystem(t, config)
	var conns []io.Closer
	for name, text := range messages {
		network := "tcp"
		if strings.HasSuffix(name, "-udp") {
			network = "udp"
		}
		conn, err := net.Dial(network, s.InputAddr(name).String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the messages are accepted", func() bool { return len(a.Taken()) == len(messages) })
	beat, err := net.Dial("udp", s.InputAddr("forward").String())
	if err != nil {
		t.Fatal(err)
	}
	conns = append(conns, beat)
	var response [1]byte
	if _, err := beat.Write(response[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := beat.Read(response[:]); err != nil {
		t.Error(err)
	}
	if left, err := s.Stop(t.Context()); err != nil || left.Packets > 0 {
		t.Errorf("%+v are left, %v", left, err)
	}
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// A stop accepts lines that were read and wait to form a packet with further lines.
func TestStopOfStreams(t *testing.T) {
	a := analyzertest.New(t)
	config := quick(t, Target{URL: a.URL(), Weight: 1})
	config.Inputs = Inputs{{"syslog-tcp", "127.0.0.1:0"}}
	s := startSystem(t, config)
	conn, err := net.Dial("tcp", s.InputAddr("syslog-tcp").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for sent := 1; ; sent++ { // until a packet is accepted, because other lines may have been read
		if _, err := fmt.Fprintf(conn, "<14>text %d\n", sent); err != nil {
			t.Fatal(err)
		}
		if len(a.Taken()) > 0 {
			break
		}
	}
	if _, err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if refused := s.intake.Refused(string(intake.Draining)); refused > 0 {
		t.Errorf("%d requests were refused because of the stop", refused)
	}
}

// Protocols that cannot carry a token need client certificates when tokens are needed.
func TestAnonymousInputs(t *testing.T) {
	tls := certificate.Config{Cert: "c", Key: "k"}
	withCA := certificate.Config{Cert: "c", Key: "k", ClientCA: "ca"}
	for _, c := range []struct {
		input  string
		tokens string
		tls    certificate.Config
		ok     bool
	}{
		{"syslog-udp", "", tls, true}, {"syslog-udp", "f", withCA, false}, {"syslog-tcp", "f", withCA, false},
		{"syslog-tls", "f", tls, false}, {"syslog-tls", "f", withCA, true}, {"gelf-tcp", "f", withCA, true},
		{"gelf-tcp", "f", tls, false}, {"gelf-udp", "f", tls, false}, {"forward", "f", tls, true},
	} {
		config := Config{TokensFile: c.tokens, TLS: c.tls, MetricsListen: ":9100", Port: 8080}
		if err := config.Inputs.UnmarshalText([]byte(c.input)); err != nil {
			t.Fatal(err)
		}
		if err := config.validateInputs(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
