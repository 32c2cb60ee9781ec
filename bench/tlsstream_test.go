//go:build linux

package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A TLS stream continues after each part of a record, however small.
func TestTLSStreamInParts(t *testing.T) {
	files, err := writeCertificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.cert, files.key)
	if err != nil {
		t.Fatal(err)
	}
	fd, served := dialEcho(t, pair)
	s, err := newTLSStream(fd, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"short", strings.Repeat("long", 20_000)} {
		records, err := s.seal([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		go unix.Write(fd, bytes.Clone(records)) //nolint:errcheck // what comes back tells
		var got []byte
		part := make([]byte, 7)
		for len(got) < len(text) {
			n, err := unix.Read(fd, part)
			if err != nil || n == 0 {
				t.Fatalf("after %d bytes: %d, %v", len(got), n, err)
			}
			opened, err := s.open(part[:n])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, opened...)
		}
		if string(got) != text {
			t.Errorf("%.20q came back as %.20q", text, got)
		}
	}
	_ = unix.Close(fd)
	<-served
}

// dialEcho connects to a TLS server that returns what it reads, and returns the socket and a channel
// that reports when the server's connection has ended.
func dialEcho(t *testing.T, pair tls.Certificate) (int, <-chan error) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	served := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, err = io.Copy(conn, conn)
		}
		served <- err
	}()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	return fd, served
}
