package sink

import "testing"

func TestCause(t *testing.T) {
	for detail, want := range map[string]string{
		"connect: dial tcp 127.0.0.1:9001: connect: connection refused":                             "connection refused",
		"connect: dial tcp: lookup analyzer-1 on 127.0.0.11:53: no such host":                       "no such host",
		"read tcp 127.0.0.1:53154->127.0.0.1:9001: read: connection reset by peer":                  "connection reset by peer",
		"connect: tls: failed to verify certificate: x509: certificate signed by unknown authority": "connect: tls: failed to verify certificate: x509: certificate signed by unknown authority",
		`answered 500 ""`:         "answered 500",
		`answered 401 "no token"`: `answered 401 "no token"`,
		"":                        "",
	} {
		if got := Cause(detail); got != want {
			t.Errorf("Cause(%q) = %q, want %q", detail, got, want)
		}
	}
}
