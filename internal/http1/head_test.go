package http1

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	plain = "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n"
	limit = 8 << 10
)

func TestHeads(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Head
	}{
		"plain":           {plain, Head{Minor: 1, Length: 3}},
		"other case":      {"POST / HTTP/1.1\r\nhOST:t\r\ncontent-LENGTH: \t3 \t\r\n", Head{Minor: 1, Length: 3}},
		"empty lines":     {"\r\n\r\n" + plain, Head{Minor: 1, Length: 3}},
		"leading zeros":   {strings.Replace(plain, "3", "0003", 1), Head{Minor: 1, Length: 3}},
		"no length":       {"GET / HTTP/1.1\r\nHost: t\r\n", Head{Minor: 1, Length: -1}},
		"endless":         {strings.Replace(plain, "3", "99999999999999999999999999", 1), Head{Minor: 1, Length: 1<<63 - 1}},
		"chunks":          {"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: CHUNKED\r\n", Head{Minor: 1, Length: -1, Chunked: true}},
		"close":           {plain + "Connection: TE, Close\r\n", Head{Minor: 1, Length: 3, Close: true}},
		"close, two":      {plain + "Connection: close\r\nConnection: keep-alive\r\n", Head{Minor: 1, Length: 3, Close: true}},
		"HTTP/1.2":        {strings.Replace(plain, "1.1", "1.2", 1), Head{Minor: 2, Length: 3}},
		"HTTP/1.0":        {"POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n", Head{Length: 3, Close: true}},
		"1.0, keep-alive": {"POST / HTTP/1.0\r\nContent-Length: 3\r\nConnection: Keep-Alive\r\n", Head{Length: 3}},
		"expect":          {plain + "Expect: 100-Continue\r\n", Head{Minor: 1, Length: 3, ExpectsContinue: true}},
		"other expect":    {plain + "Expect: more\r\n", Head{Minor: 1, Length: 3}},
		"encoded":         {plain + "Content-Encoding: gzip\r\n", Head{Minor: 1, Length: 3, Encoded: true}},
		"type":            {plain + "Content-Type: a/b\r\nContent-Type: a/b\r\n", Head{Minor: 1, Length: 3, ContentType: []byte("a/b")}},
		"trace":           {plain + "Traceparent: 00\r\n", Head{Minor: 1, Length: 3, Traceparent: []byte("00")}},
		"odd name":        {plain + "!#$%&'*+-.^_`|~9: \x80\xff\t\r\n", Head{Minor: 1, Length: 3}},
		"absolute":        {"GET http://[::1]:80/x?y HTTP/1.1\r\nHost: t\r\n", Head{Minor: 1, Length: -1}},
		"asterisk":        {"OPTIONS * HTTP/1.1\r\nHost: t\r\n", Head{Minor: 1, Length: -1}},
		"connect":         {"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n", Head{Minor: 1, Length: -1}},
	} {
		text := c.text + "\r\n"
		got, err := Parse([]byte(text+"abc"), limit)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.want.Size, c.want.Method, c.want.Target, c.want.fields = len(text), got.Method, got.Target, got.fields
		if !sameHead(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		for end := range len(text) {
			if _, err := Parse([]byte(text[:end]), limit); err != ErrIncomplete {
				t.Errorf("%s: %q: %v", name, text[:end], err)
			}
		}
	}
}

func sameHead(a, b Head) bool {
	return a.Size == b.Size && a.Minor == b.Minor && a.Length == b.Length && a.Chunked == b.Chunked && a.Close == b.Close &&
		a.ExpectsContinue == b.ExpectsContinue && a.Encoded == b.Encoded &&
		bytes.Equal(a.ContentType, b.ContentType) && bytes.Equal(a.Traceparent, b.Traceparent)
}

func TestFaults(t *testing.T) {
	request := func(line string) string { return line + "\r\nHost: t\r\n\r\n" }
	host := func(value string) string { return "POST / HTTP/1.1\r\nHost: " + value + "\r\n\r\n" }
	field := func(line string) string { return "POST / HTTP/1.1\r\nHost: t\r\n" + line + "\r\n\r\n" }
	for status, texts := range map[int][]string{
		http.StatusHTTPVersionNotSupported: {request("GET / HTTP/2.0"), request("GET / HTTP/9.9"), request("GET / HTTP/0.9"), "PRI * HTTP/2.0\r\n"},
		http.StatusRequestHeaderFieldsTooLarge: {
			field("X: " + strings.Repeat("x", limit)), "GET /" + strings.Repeat("x", limit), strings.Repeat("\r\n", limit),
		},
		http.StatusBadRequest: {
			"\n", "\nGET / HTTP/1.1\r\n", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nHost: t\n\n", "GET / HTTP/1.1\rHost: t\r\r", "\r\r",
			"GET / HTTP/1.1\r\nHost: t\r\n\n", "GET / HTTP/1.1\r\nX: y\rZ: 1\r\n",
			"\x16\x03\x01\x02\x00\x01\x00", "\r\n\x00", "\xff", " ", "{", "G\x00",
			request("hello"), request("GET /"), request("GET  / HTTP/1.1"), request("GET / HTTP/1.1 "), request(" GET / HTTP/1.1"), request("GET\t/ HTTP/1.1"),
			request("GET / HTTP/1"), request("GET / HTTP/1.10"), request("GET / http/1.1"), request("GET / HTTP/01.1"), request("GET / HTTPS/1.1"), request("GET / HTTP/1.x"),
			request("G(T / HTTP/1.1"), request(" / HTTP/1.1"), request("GET /a#b HTTP/1.1"), request("GET /\x80 HTTP/1.1"), request("GET /\x00 HTTP/1.1"),
			request("GET ingest HTTP/1.1"), request("GET * HTTP/1.1"), request("GET ftp://a/ HTTP/1.1"), request("GET http:///x HTTP/1.1"), request("GET http://a@b/ HTTP/1.1"),
			request("CONNECT a/b HTTP/1.1"), request("CONNECT /x HTTP/1.1"), request("CONNECT * HTTP/1.1"), request("CONNECT a HTTP/1.1"), request("CONNECT a: HTTP/1.1"), request("CONNECT [::1] HTTP/1.1"),
			"GET / HTTP/1.1\r\n\r\n", field("Host: u"), field("Host: t"),
			host(""), host("a b"), host("a/b"), host("a:b"), host("[::1"), host("a?b"), host("a#b"), host("a@b"), host("<a>"), host("\xff"), host("::1"), host("[::1]x"),
			host("a:99999"), host("[127.0.0.1]"), host("[::1%25eth0]"), host("a%2"), host("a%zz"), host(":80"), host("a:-1"), host("a:+1"),
			field(" X: y"), field("X: y\r\n z"), field("X"), field(": x"), field("X : y"), field("X\t: y"), field("X: \x00"), field("X: \x7f"), field("X\"Y: 1"), field("X\xff: 1"),
			field("Content-Length: 3\r\nContent-Length: 3"), field("Content-Length: 3, 3"), field("Content-Length: +3"), field("Content-Length: -3"), field("Content-Length: 0x3"),
			field("Content-Length:"), field("Content-Length: 3.0"), field("Content-Length: 3 3"), field("Content-Length: 3\x0b"),
			field("Transfer-Encoding: identity"), field("Transfer-Encoding: gzip, chunked"), field("Transfer-Encoding: chunked, chunked"), field("Transfer-Encoding:"),
			field("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), field("Transfer-Encoding: xchunked"), field("Transfer-Encoding: chunked;q=1"),
			field("Transfer-Encoding: chunked\r\nContent-Length: 3"), field("Content-Length: 3\r\nTransfer-Encoding: chunked"),
			"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n",
			field("Content-Type: a/b\r\nContent-Type: a/c"),
		},
	} {
		for _, text := range texts {
			_, err := Parse([]byte(text), limit)
			var fault *Fault
			if !errors.As(err, &fault) || fault.Status != status || fault.Detail == "" {
				t.Errorf("%.80q: %v, want status %d", text, err, status)
			}
		}
	}
}

func TestHosts(t *testing.T) {
	for _, host := range []string{
		"a", "a.b-c_d~", "a:80", "a:", "a:0", "127.0.0.1:8080", "[::1]", "[::1]:80", "[::ffff:1.2.3.4]", "a,b", "a!$&'()*+,;=b", "%41", "A",
	} {
		if !isHost([]byte(host)) {
			t.Errorf("%q is refused", host)
		}
	}
}

func TestValues(t *testing.T) {
	head, err := Parse([]byte(plain+"X-List: a, ,b,\r\nx-list:\r\nX-Lists: no\r\nX-LIST: \t c\t\r\n\r\n"), limit)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for value := range head.Values("x-list") {
		got = append(got, string(value))
	}
	if !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("%q", got)
	}
	for value := range head.Values("x-list") {
		if string(value) != "a" {
			t.Errorf("%q comes first", value)
		}
		break
	}
}

// FuzzParse holds Parse to the standard library's reader: whatever Parse accepts that
// one reads in the same way.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		plain + "Content-Type: application/json\r\nTraceparent: x\r\nConnection: keep-alive\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nabc", plain + "X-A: b\r\n c: d\r\n\r\n",
		"GET http://h/ HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nhost: [::1]:1\r\nconnection: a,close\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		head, err := Parse(text, limit)
		if _, again := Parse(text[:len(text)/2], limit); again == nil && err != nil {
			t.Fatalf("the beginning is read, the whole is not: %v", err)
		}
		if err != nil || head.Minor > 1 {
			return
		}
		other, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text[:head.Size])))
		if err != nil {
			if strings.Contains(err.Error(), "invalid URL escape") || strings.Contains(err.Error(), "invalid port") || strings.Contains(err.Error(), "bad Content-Length") {
				return // which Parse leaves to whoever wants the path, or says by a number that is too large
			}
			t.Fatalf("the standard library refuses it: %v", err)
		}
		chunked := slices.Equal(other.TransferEncoding, []string{"chunked"})
		switch {
		case other.Method != string(head.Method), chunked != head.Chunked, other.Close != head.Close:
			t.Errorf("%+v, by the standard library %+v", head, other)
		case !chunked && other.ContentLength != max(head.Length, 0):
			t.Errorf("length %d, by the standard library %d", head.Length, other.ContentLength)
		case other.Header.Get("Content-Type") != string(head.ContentType):
			t.Errorf("type %q, by the standard library %q", head.ContentType, other.Header.Get("Content-Type"))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := []byte("POST /ingest HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: emitter\r\nContent-Type: application/json\r\nContent-Length: 790\r\n\r\n")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(text, limit); err != nil {
			b.Fatal(err)
		}
	}
}
