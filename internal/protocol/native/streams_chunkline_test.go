package native

import (
	"fmt"
	"strings"
)

func chunkLineCases() []streamCase {
	a := aPacket("a", 0)
	size := fmt.Sprintf("%x", len(a))
	cases := []streamCase{
		malformed("LF behind a chunk's size", "Http11Probe", chunkHead()+size+"\n"+a+"\r\n"+lastChunk),
		malformed("CR behind a chunk's size", "Http11Probe", chunkHead()+size+"\r"+a+"\r\n"+lastChunk),
		malformed("CR CR LF behind a chunk's size", "http-garden", chunkHead()+size+"\r\r\n"+a+"\r\n"+lastChunk),
		malformed("LF CR behind a chunk's size", "http-garden", chunkHead()+size+"\n\r"+a+"\r\n"+lastChunk),
		malformed("LF in a chunk extension", "Http11Probe", chunkHead()+size+";x\n"+a+"\r\n"+lastChunk),
		malformed("LF before CR LF in a chunk extension", "http-garden", chunkHead()+size+";x\ny\r\n"+a+"\r\n"+lastChunk),
		malformed("LF behind a chunk", "Http11Probe", chunkHead()+size+"\r\n"+a+"\n"+lastChunk),
		malformed("CR behind a chunk", "Http11Probe", chunkHead()+size+"\r\n"+a+"\r"+lastChunk),
		malformed("nothing behind a chunk", "Http11Probe", chunkHead()+size+"\r\n"+a+lastChunk),
		malformed("two characters behind a chunk", "http-garden", chunkHead()+size+"\r\n"+a+"xx"+lastChunk),
		malformed("LF LF behind a chunk", "http-garden", chunkHead()+size+"\r\n"+a+"\n\n"+lastChunk),
		malformed("a space behind a chunk", "own", chunkHead()+size+"\r\n"+a+" \r\n"+lastChunk),
		malformed("an empty line behind a chunk", "own", chunkHead()+chunk(a)+"\r\n"+lastChunk),
		malformed("a chunk that is longer than its size", "Http11Probe chunk spill", chunkHead()+fmt.Sprintf("%x\r\n", len(a)-1)+a+"\r\n"+lastChunk),
		malformed("a chunk that is shorter than its size", "Http11Probe", chunkHead()+fmt.Sprintf("%x\r\n", len(a)+1)+a+"\r\n"+lastChunk),
		malformed("LF behind the last chunk's size", "http-garden", chunkHead()+chunk(a)+"0\n\r\n"),
		malformed("LF ends the chunks", "http-garden", chunkHead()+chunk(a)+"0\r\n\n"),
		malformed("an empty line before the first chunk", "own", chunkHead()+"\r\n"+chunk(a)+lastChunk),
		malformed("a long line between chunks", "Http11Probe", chunkHead()+size+";"+strings.Repeat("x", 64<<10)+"\r\n"+a+"\r\n"+lastChunk),
		malformed("a long size", "own", chunkHead()+strings.Repeat("0", 64<<10)+size+"\r\n"+a+"\r\n"+lastChunk),
		malformed("a chunk that is no chunk", "own", chunkHead()+a),
	}
	whole := chunking("a")
	for _, end := range []struct {
		name string
		at   int
	}{
		{"before the first chunk", len(chunkHead())},
		{"within the first size", len(chunkHead()) + 1},
		{"within the first line end", len(chunkHead()) + 2},
		{"within a chunk", len(chunkHead()) + 7},
		{"within the last chunk", len(whole) - 20},
		{"before the last size", len(whole) - 5},
		{"behind the last size", len(whole) - 4},
		{"before the end", len(whole) - 2},
		{"within the end", len(whole) - 1},
	} {
		cases = append(cases, cutOff("chunks that are cut "+end.name, "RFC 9112 section 8, Http11Probe has such", whole[:end.at]))
	}
	return cases
}

func trailerCases() []streamCase {
	const rule = "RFC 9112 section 7.1.2"
	a := aPacket("a", 0)
	trailed := func(lines ...string) string {
		return chunkHead("Trailer: X") + chunk(a) + "0\r\n" + strings.Join(append(lines, "", ""), "\r\n")
	}
	cases := []streamCase{
		splitEverywhere(taken("a trailer", "Http11Probe", trailed("X: y"), "a")),
		taken("several trailers", rule, trailed("X: y", "Z:", "W: \x80"), "a"),
	}
	for _, field := range []string{
		"Content-Length: 5", "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Host: u", "Host: a b", "Authorization: x", "Content-Type: application/x-ndjson", "Content-Encoding: br",
		"Connection: close", "Expect: 100-continue", "Content-Length: x",
	} {
		cases = append(cases, brief(taken("trailer "+field, "RFC 9110 section 6.5.1, Http11Probe", trailed(field), "a")))
	}
	for _, field := range []string{
		"X", "X : y", ": y", "X\t: y", "X: a\x00b", "X: a\x7fb", "X: a\x0bb", "X: a\rb", "X: y\nZ: z", "X(: y", "X Y: z", "\x80: y", "0", "GET /ingest HTTP/1.1", "X: y\r",
	} {
		cases = append(cases, brief(malformed(fmt.Sprintf("trailer %q", field), "RFC 9112 section 5, http-garden and Http11Probe have such", trailed(field))))
	}
	return append(cases,
		malformed("a folded trailer", "RFC 9112 section 5.2", trailed("X: y", " z: w")),
		malformed("a trailer that begins with a space", "RFC 9112 section 5.2", trailed(" X: y")),
		malformed("trailers that are too large", "own", trailed(strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 9)+"Z: z")),
		malformed("a trailer that is too long", "own", trailed("X: "+strings.Repeat("y", 64<<10))),
		cutOff("a trailer that is cut", rule, chunkHead()+chunk(a)+"0\r\nX: y"),
		cutOff("a trailer that is cut behind a line", rule, chunkHead()+chunk(a)+"0\r\nX: y\r\n"),
	)
}
