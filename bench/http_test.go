//go:build linux

package main

import "testing"

func TestMessagesAreCompleteAtTheirLastByte(t *testing.T) {
	const text = "HTTP/1.1 202 Accepted\r\ncontent-length: 5\r\nContent-Type: application/json\r\nConnection: Close\r\n\r\nhello"
	for cut := range len(text) {
		if _, ok, err := parseMessage([]byte(text[:cut])); ok || err != nil {
			t.Fatalf("the first %d bytes are read as ok=%v, %v", cut, ok, err)
		}
	}
	m, ok, err := parseMessage([]byte(text + "HTTP/1.1 500"))
	if err != nil || !ok || m.size != len(text) || m.status() != 202 || !m.last ||
		string(m.body) != "hello" || string(m.kind) != "application/json" {
		t.Errorf("read as %+v (%s, %s), %v, %v", m, m.kind, m.body, ok, err)
	}
}

func TestChunksAreCompleteAtTheirLastByte(t *testing.T) {
	const text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nb\r\n wide world\r\n0\r\n\r\n"
	for cut := range len(text) {
		if _, ok, err := parseMessage([]byte(text[:cut])); ok || err != nil {
			t.Fatalf("the first %d bytes are read as ok=%v, %v", cut, ok, err)
		}
	}
	m, ok, err := parseMessage([]byte(text + "HTTP/1.1 500"))
	if err != nil || !ok || m.size != len(text) || string(m.body) != "hello wide world" {
		t.Errorf("read as %+v (%s), %v, %v", m, m.body, ok, err)
	}
}

func TestMessagesWithoutLengthAreRefused(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
	} {
		if _, _, err := parseMessage([]byte(text)); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}
