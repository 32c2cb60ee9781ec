package native

import (
	"fmt"
	"strings"
)

const codingRule = "RFC 9112 section 6.1"

func codingCases() []streamCase {
	body := chunk(aPacket("a", 0)) + lastChunk
	coded := func(lines ...string) string {
		return head(append([]string{"POST /ingest HTTP/1.1", "Host: t"}, lines...)...) + body
	}
	size := fmt.Sprintf("Content-Length: %d", len(body))
	cases := []streamCase{
		splitEverywhere(taken("chunked", "Http11Probe", coded("Transfer-Encoding: chunked"), "a")),
		taken("CHUNKED", "Http11Probe", coded("TRANSFER-ENCODING: CHUNKED"), "a"),
		taken("cHuNkEd", "Http11Probe", coded("transfer-encoding:cHuNkEd"), "a"),
		taken("chunked behind a tab", "Http11Probe", coded("Transfer-Encoding:\tchunked"), "a"),
		taken("chunked before spaces", "Http11Probe", coded("Transfer-Encoding: chunked \t "), "a"),
		taken("chunked, HTTP/1.2", codingRule, head("POST /ingest HTTP/1.2", "Host: t", "Transfer-Encoding: chunked")+body, "a"),
		malformed("two codings", "Http11Probe", coded("Transfer-Encoding: chunked", "Transfer-Encoding: identity")),
		malformed("two codings the other way round", "Http11Probe", coded("Transfer-Encoding: identity", "Transfer-Encoding: chunked")),
		malformed("chunked twice", codingRule, coded("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
		malformed("gzip and then chunked", codingRule, coded("Transfer-Encoding: gzip", "Transfer-Encoding: chunked")),
		malformed("chunked and a length", "Http11Probe", coded("Transfer-Encoding: chunked", size)),
		malformed("a length and chunked", "Http11Probe", coded(size, "Transfer-Encoding: chunked")),
		malformed("chunked and length 0", "http-garden", coded("Transfer-Encoding: chunked", "Content-Length: 0")),
		malformed("chunked, length and close", "Http11Probe", coded("Transfer-Encoding: chunked", size, "Connection: close")),
		malformed("chunked, HTTP/1.0", "Http11Probe", head("POST /ingest HTTP/1.0", "Host: t", "Transfer-Encoding: chunked")+body),
		malformed("chunked and a length, HTTP/1.0", "http-garden", head("POST /ingest HTTP/1.0", "Host: t", "Transfer-Encoding: chunked", size)+body),
		malformed("a space before the colon of the coding", "Http11Probe", coded("Transfer-Encoding : chunked")),
		malformed("a tab before the colon of the coding", "http-garden", coded("Transfer-Encoding\t: chunked")),
		malformed("a folded coding", "Http11Probe", coded("Transfer-Encoding:", " chunked")),
		malformed("a coding folded with a tab", "Http11Probe", coded("Transfer-Encoding:", "\tchunked")),
		malformed("a coding folded behind it", "http-garden", coded("Transfer-Encoding: chunked", " , identity")),
		malformed("a coding behind a bare LF", "http-garden", coded("X: y\nTransfer-Encoding: chunked")),
		malformed("a coding behind a bare CR", "http-garden", coded("X: y\rTransfer-Encoding: chunked")),
		malformed("a coding behind NUL", "http-garden", coded("X: y\x00Transfer-Encoding: chunked")),
	}
	for _, bad := range []string{
		"", " ", " identity", " gzip", " deflate", " compress", " x-chunked", " xchunked", " chunkedx", " chunke", " chunked,", " ,chunked", " , chunked", " chunked, chunked", " chunked,identity", " identity, chunked",
		" gzip, chunked", " chunked, gzip", " chunked;", " chunked;q=1", " chunked; x=y", ` "chunked"`, " 'chunked'", " chunked\x00", " \x00chunked", " \x0bchunked", " \x0cchunked", " chunked\x0b", " chunked\x0c", " \xa0chunked", " chunked\xff",
		" chun ked", " chunked chunked", " c\xc5\xbfhunked", " chun\xe2\x84\xaaed", " chunked\r", " nothing", " *", " 0", " trailers", " chunked_", " [chunked]",
	} {
		cases = append(cases, brief(malformed(fmt.Sprintf("coding %q", bad), "RFC 9112 section 6.1, Http11Probe and http-garden have such", coded("Transfer-Encoding:"+bad))))
	}
	return cases
}

const chunkRule = "RFC 9112 section 7.1"

func chunkCases() []streamCase {
	a := aPacket("a", 0)
	size := fmt.Sprintf("%x", len(a))
	sized := func(line string) string { return chunkHead() + line + "\r\n" + a + "\r\n" + lastChunk }
	cases := []streamCase{
		splitEverywhere(taken("two chunks", "Http11Probe", chunking("a"), "a")),
		splitEverywhere(taken("many chunks", "Http11Probe", chunked(a, 9), "a")),
		taken("chunks with sizes in upper case", "Http11Probe", sized(strings.ToUpper(size)), "a"),
		taken("a size with leading zeros", "http-garden", sized("000"+size), "a"),
		taken("a size of sixteen digits", "http-garden", sized(strings.Repeat("0", 16-len(size))+size), "a"),
		taken("a last chunk with zeros", chunkRule, chunkHead()+chunk(a)+"0000\r\n\r\n", "a"),
		taken("a last chunk with an extension", chunkRule, chunkHead()+chunk(a)+"0;x=y\r\n\r\n", "a"),
		refusedAs("no chunk but the last", "Http11Probe", chunkHead()+lastChunk, 400, "malformed", false),
		refusedAs("chunks that are no packet", "own", chunkHead()+chunk("{}")+lastChunk, 400, "invalid_packet", false),
	}
	for _, extension := range []string{
		";x", ";x=y", ";x=\"y;z\"", ";x;y;z=1", " ;x", "\t;x", " \t ; x = y \t; z", "; x", ";x =y", ";x ", ";x=\"\xff\t\"", ";" + strings.Repeat("x", 4000), ";x=\"a\\\"b\"", ";x=\"\"",
	} {
		cases = append(cases, taken(fmt.Sprintf("chunk extension %.20q", extension), "RFC 9112 section 7.1.1", sized(size+extension), "a"))
	}
	for _, extension := range []string{
		";", ";;", ";=", ";\t", ";x;", ";x=", ";x=\xff", ";x\xff", ";x y", ";x=y=z", ";x,y", ";x[=y", ";x=\"", ";x=\"y", ";x=\"y\\", ";x=\"y\"z", ";\"x\"",
	} {
		cases = append(cases, brief(malformed(fmt.Sprintf("chunk extension %q", extension), "RFC 9112 section 7.1.1, Http11Probe and llhttp have such", sized(size+extension))))
	}
	for c := range 0x80 {
		if (c < ' ' || c == 0x7f) && c != '\t' && c != '\n' {
			cases = append(cases, brief(malformed(fmt.Sprintf("%q in a chunk extension", rune(c)), "Http11Probe", sized(size+";a"+string(rune(c))+"b"))))
		}
	}
	for _, bad := range []string{
		"", " ", "0x" + size, "0X" + size, "x" + size, "+" + size, "-" + size, " " + size, "\t" + size, size + " ", size + "\t", size + " x", size + " x;y", size + "\x0b;x", size + "\x0c;x", size + "\x00;x", size + "\xa0;x", size + "\r;x", size + " \r;x", ";x", " ;x", " " + size + ";x", size + "\x00", "\x00" + size, size + "_", size[:1] + "_" + size[1:], size[:1] + " " + size[1:],
		size + "h", "g", size + ".0", size + ",", size + ":", size + "=x", "\"" + size + "\"", "-1", "-0", "\xff", size + "\x0b", size + "\x0c", size + "\x85", size + "\xa0", "fffffffffffffffff", "ffffffffffffffff", "8000000000000000", "10000000000000000" + size,
	} {
		cases = append(cases, brief(malformed(fmt.Sprintf("chunk size %q", bad), "RFC 9112 section 7.1, Http11Probe, http-garden and llhttp have such", sized(bad))))
	}
	for zeros := 17; zeros <= 40; zeros += 23 {
		cases = append(cases, brief(taken(fmt.Sprintf("a size of %d digits, most of them zeros", zeros), "http-garden", sized(strings.Repeat("0", zeros-len(size))+size), "a")))
	}
	return cases
}
