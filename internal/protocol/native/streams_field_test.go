package native

import (
	"fmt"
	"slices"
	"strings"
)

const fieldRule = "RFC 9112 section 5"

func fieldCases() []streamCase {
	cases := []streamCase{
		taken("an empty value", fieldRule, posting("a", "X:"), "a"),
		taken("a value of spaces", fieldRule, posting("a", "X: \t \t"), "a"),
		taken("all characters of names", "RFC 9110 section 5.6.2", posting("a", "!#$%&'*+-.^_`|~09azAZ: x"), "a"),
		taken("colons in a value", fieldRule, posting("a", "X: :y::z:"), "a"),
		taken("a colon that begins a value", fieldRule, posting("a", "X::y"), "a"),
		taken("a tab and bytes from 0x80 in a value", "RFC 9110 section 5.5", posting("a", "X: a\tb\x80\xa0\xff"), "a"),
		taken("underscores for hyphens mean another field", "Http11Probe", posting("a", "Content_Length: 3", "Transfer_Encoding: chunked"), "a"),
		taken("fields that look like ours", "own", posting("a", "Content-Lengthx: 3", "XContent-Length: 3", "Transfer-Encodings: chunked", "Hos: x", "Hosts: y"), "a"),
		taken("fields of cookies and proxies", "Http11Probe", posting("a", "Cookie: a=b; c", "Cookie: ", "Forwarded: for=x", "Via: 1.1 p", "Range: bytes=0-", "TE: trailers"), "a"),
		taken("an upgrade that nobody offers", "RFC 9110 section 7.8, Http11Probe", posting("a", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), "a"),
		taken("a web socket that nobody offers", "Http11Probe", posting("a", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"), "a"),
		splitEverywhere(malformed("a folded field", "RFC 9112 section 5.2, Http11Probe", posting("a", "X: y", " z"))),
		malformed("a field folded with a tab", "RFC 9112 section 5.2", posting("a", "X: y", "\tz")),
		malformed("a folded field with a colon", "RFC 9112 section 5.2", posting("a", "X: y", " Z: z")),
		malformed("a folded empty line", "RFC 9112 section 5.2", posting("a", "X: y", " ")),
		malformed("a space before the first field", "RFC 9112 section 2.2, Http11Probe", postingAs("POST /ingest HTTP/1.1", "a", " Host: t")),
		malformed("a tab before the first field", "RFC 9112 section 2.2", postingAs("POST /ingest HTTP/1.1", "a", "\tHost: t")),
		malformed("no colon", "Http11Probe", posting("a", "X")),
		malformed("no colon but a space", "Http11Probe", posting("a", "X y")),
		malformed("no name", "Http11Probe", posting("a", ": y")),
		malformed("a colon alone", "own", posting("a", ":")),
		malformed("a space before the colon", "RFC 9112 section 5.1, Http11Probe", posting("a", "X : y")),
		malformed("a tab before the colon", "RFC 9112 section 5.1, Http11Probe", posting("a", "X\t: y")),
		malformed("a space before the colon of Host", "RFC 9112 section 5.1", postingAs("POST /ingest HTTP/1.1\r\nHost : t", "a")),
		malformed("LF behind a field", "RFC 9112 section 2.2, Http11Probe", posting("a", "X: y\nZ: z")),
		malformed("CR within a field", "RFC 9112 section 2.2, Http11Probe", posting("a", "X: y\rZ: z")),
		malformed("CR CR LF behind a field", "RFC 9112 section 2.2", posting("a", "X: y\r")),
		malformed("LF CR behind a field", "own", strings.Replace(posting("a", "X: y"), "y\r\n", "y\n\r", 1)),
	}
	return slices.Concat(cases, nameByteCases(), valueByteCases())
}

// nameByteCases have each byte that is not a token character within a name.
func nameByteCases() []streamCase {
	var cases []streamCase
	for _, c := range []byte("\"(),/;<=>?@[\\]{} \t\x00\x01\x0b\x0c\x1f\x7f\x80\xa0\xff") {
		field := "X" + string([]byte{c}) + "Y: z"
		cases = append(cases, brief(malformed(fmt.Sprintf("field %q", field), "RFC 9110 section 5.6.2, Http11Probe and llhttp have such", posting("a", field))))
	}
	return cases
}

// valueByteCases have each control character within, before and behind a value.
func valueByteCases() []streamCase {
	var cases []streamCase
	for c := range 0x80 {
		if c >= ' ' && c != 0x7f || c == '\t' || c == '\n' || c == '\r' {
			continue
		}
		for _, form := range []string{"X: a%sb", "X:%sa", "X: a%s"} {
			field := fmt.Sprintf(form, string([]byte{byte(c)}))
			cases = append(cases, brief(malformed(fmt.Sprintf("field %q", field), "RFC 9110 section 5.5, Http11Probe and llhttp have such", posting("a", field))))
		}
	}
	return cases
}

func headSizeCases() []streamCase {
	// fitting makes a head of that many bytes.
	fitting := func(size int) string {
		text := posting("a", "X: ")
		missing := size - (strings.Index(text, headEnd) + len(headEnd))
		return strings.Replace(text, "X: ", "X: "+strings.Repeat("x", missing), 1)
	}
	large := func(name, source, bytes string) streamCase {
		return refusedAs(name, source, bytes, 431, "too_large", true)
	}
	const rule = "RFC 6585 section 5"
	return []streamCase{
		taken("a head of the largest size", rule, fitting(maxHead), "a"),
		large("a head of a byte more", rule, fitting(maxHead+1)),
		large("a head of twice the size", rule, fitting(2*maxHead)),
		large("a head of 100 KiB", "Http11Probe long value", fitting(100<<10)),
		large("a long name", "Http11Probe long name", posting("a", strings.Repeat("x", 10<<10)+": y")),
		large("a long target", "Http11Probe long URL", to("/"+strings.Repeat("x", 10<<10))),
		large("a long method", "Http11Probe long method", postingAs(strings.Repeat("M", 10<<10)+" / HTTP/1.1\r\nHost: t", "a")),
		large("many fields", "Http11Probe many headers", posting("a", strings.Repeat("X: y\r\n", 2000)+"Z: z")),
		taken("1000 short fields", "own", posting("a", strings.Repeat("X:y\r\n", 1000)+"Z: z"), "a"),
		large("many empty lines", "own", strings.Repeat("\r\n", maxHead)),
	}
}
