package native

import (
	"fmt"
	"strings"
)

const lengthRule = "RFC 9112 section 6.3"

// lengthened makes a request whose head has these lines, and no others of framing.
func lengthened(id string, lines ...string) string {
	return head(append([]string{"POST /ingest HTTP/1.1", "Host: t"}, lines...)...) + aPacket(id, 0)
}

func lengthCases() []streamCase {
	size := len(aPacket("a", 0))
	value := fmt.Sprint(size)
	length := func(value string) string { return lengthened("a", "Content-Length:"+value) }
	cases := []streamCase{
		taken("length without a space", lengthRule, length(value), "a"),
		taken("length behind tabs and spaces", "Http11Probe", length(" \t  "+value), "a"),
		taken("length before tabs and spaces", "Http11Probe", length(" "+value+" \t "), "a"),
		taken("length with leading zeros", "Http11Probe", length(" 000"+value), "a"),
		taken("length with a hundred zeros", "Http11Probe", length(" "+strings.Repeat("0", 100)+value), "a"),
		taken("length in lower case", lengthRule, lengthened("a", "content-length: "+value), "a"),
		taken("length in upper case", lengthRule, lengthened("a", "CONTENT-LENGTH: "+value), "a"),
		refusedAs("no length and no coding", "Http11Probe", "POST /ingest HTTP/1.1\r\nHost: t\r\n\r\n", 400, "malformed", false),
		refusedAs("length 0", "Http11Probe", "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n", 400, "malformed", false),
		refusedAs("length 00", "Http11Probe", "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 00\r\n\r\n", 400, "malformed", false),
		malformed("two lengths", "Http11Probe", lengthened("a", "Content-Length: "+value, "Content-Length: 0")),
		malformed("two equal lengths", lengthRule, lengthened("a", "Content-Length: "+value, "Content-Length: "+value)),
		malformed("two lengths in other case", lengthRule, lengthened("a", "Content-Length: "+value, "content-length: "+value)),
		malformed("two lengths apart", lengthRule, lengthened("a", "Content-Length: "+value, "X: y", "Content-Length: 1")),
		malformed("two lengths, HTTP/1.0", lengthRule, head("POST /ingest HTTP/1.0", "Content-Length: "+value, "Content-Length: "+value)+aPacket("a", 0)),
		malformed("a space before the colon of length", "Http11Probe", lengthened("a", "Content-Length : "+value)),
		malformed("a folded length", "Http11Probe", lengthened("a", "Content-Length:", " "+value)),
		cutOff("a body that is cut", "Http11Probe undersend", posting("a")[:len(posting("a"))-1]),
		cutOff("a body that does not come", "Http11Probe huge length without body", "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 9999\r\n\r\n"),
		cutOff("a large body that is cut", "own", "POST /ingest HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n"+strings.Repeat("x", 100)),
	}
	for _, bad := range []string{
		"", " ", "\t", " abc", " +" + value, " -" + value, " -0", " +0", " " + value + ",", " ," + value, " " + value + ", " + value, " " + value + "," + value, " 1, 2, 3",
		" " + value[:1] + " " + value[1:], " " + value[:1] + "_" + value[1:], " 0x" + value, " 0X10", " 0o17", " 0b1", " " + value + ".0", " " + value + "e0", " 1e2", " " + value + ";", " " + value + " x",
		" '" + value + "'", ` "` + value + `"`, " " + value + "\x00", " \x0b" + value, " " + value + "\x0c", " \xa0" + value, " " + value + "\x80", " ٣", " " + value + "=", " NaN", " 1 2", " " + value + "\t1", " #" + value, " " + value + "L",
	} {
		cases = append(cases, brief(malformed(fmt.Sprintf("length %q", bad), "RFC 9112 section 6.3, Http11Probe", length(bad))))
	}
	return append(cases, tooLargeCases()...)
}

// tooLargeCases announce bodies over the limit, and send a small part of them.
func tooLargeCases() []streamCase {
	var cases []streamCase
	for _, length := range []string{
		"262145", "0262145", "2147483648", "4294967296", "4294967299", "9223372036854775807", "9223372036854775808", "18446744073709551616", "18446744073709551619", strings.Repeat("9", 400),
	} {
		for _, lines := range []string{"", "Expect: 100-continue\r\n"} {
			text := head("POST /ingest HTTP/1.1", "Host: t", lines+"Content-Length: "+length)
			cases = append(cases, brief(refusedAs(fmt.Sprintf("length %.30s %.6s", length, lines), "Http11Probe overflow", text, 413, "too_large", true)))
		}
	}
	large := aPacket("a", 256<<10)
	expecting := refusedAs("a chunk that announces a byte too much, of a client that waits", "own", chunkHead("Expect: 100-continue")+"40001\r\n", 413, "too_large", true)
	expecting.interims = 1
	return append(cases, expecting,
		refusedAs("a chunk that announces a byte too much", "own", chunkHead()+"40001\r\n", 413, "too_large", true),
		refusedAs("a second chunk that announces a byte too much", "own", chunkHead()+chunk("{")+"40000\r\n", 413, "too_large", true),
		refusedAs("a chunk behind a body of the largest size", "own", chunkHead()+chunk(large)+"1\r\n", 413, "too_large", true),
		refusedAs("a compressed chunk that announces a byte too much", "own", chunkHead("Content-Encoding: gzip")+"40001\r\n", 413, "too_large", true),
		taken("a body of the largest size", "own", post(large), "a"),
		taken("a body of the largest size in chunks", "own", chunked(large, 50_000), "a"),
		refusedAs("a body of a byte more", "own", post(large+" "), 413, "too_large", true),
		refusedAs("a body of a byte more in chunks", "own", chunked(large+" ", 50_000), 413, "too_large", true),
		taken("a body of 100 KB", "own", post(aPacket("a", 100_000)), "a"),
		refusedAs("a chunk that announces too much", "own", chunkHead()+"7fffffffffffffff\r\n"+strings.Repeat(" ", 256<<10+1), 413, "too_large", true),
	)
}
