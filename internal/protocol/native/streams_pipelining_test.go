package native

import (
	"fmt"
	"slices"
	"strings"
)

const pipeliningRule = "RFC 9112 section 9.3.2"

func pipeliningCases() []streamCase {
	var many string
	var ids []string
	for i := range 100 {
		id := fmt.Sprint("many", i)
		many, ids = many+posting(id), append(ids, id)
	}
	const get = "GET /other HTTP/1.1\r\nHost: t\r\n\r\n"
	mixed := streamCase{
		name: "requests of all kinds", source: pipeliningRule,
		bytes:    posting("a") + get + chunking("b") + strings.Replace(get, "GET", "HEAD", 1) + posting("c", linesType) + strings.Replace(get, "/other", "/nowhere", 1) + posting("d"),
		statuses: []int{202, 200, 202, 200, 202, 404, 202}, packets: []string{"a", "b", "c", "d"}, code: "not_found",
	}
	refusals := streamCase{
		name: "refusals between", source: pipeliningRule,
		bytes:    post("{}") + posting("a") + post("x") + posting("b") + post("{}"),
		statuses: []int{400, 202, 400, 202, 400}, packets: []string{"a", "b"}, code: "invalid_packet",
	}
	cases := []streamCase{
		splitEverywhere(taken("two requests", "Http11Probe", posting("a")+posting("b"), "a", "b")),
		splitEverywhere(taken("a length and then chunks", pipeliningRule, posting("a")+chunking("b"), "a", "b")),
		splitEverywhere(taken("chunks and then a length", pipeliningRule, chunking("a")+posting("b"), "a", "b")),
		taken("chunks twice", pipeliningRule, chunking("a")+chunking("b"), "a", "b"),
		taken("100 requests", "own", many, ids...),
		taken("a large and then a small one", "own", post(aPacket("a", 100_000))+posting("b"), "a", "b"),
		taken("a large one in chunks and then a small one", "own", chunked(aPacket("a", 100_000), 9000)+posting("b"), "a", "b"),
		last("three, of which the second closes", "RFC 9112 section 9.6", posting("a")+posting("b", "Connection: close")+posting("behind"), "a", "b"),
		mixed, refusals,
	}
	for _, bad := range badRequests() {
		for good, packets := range [][]string{{"a"}, {"a", "b"}} {
			text := []string{posting("a"), posting("a") + chunking("b")}[good]
			c := malformed(fmt.Sprintf("%d, then %s, then another", len(packets), bad.name), pipeliningRule+", http-garden", text+bad.bytes+posting("behind"))
			c.statuses, c.packets = append(accepted(len(packets)), 400), packets
			cases = append(cases, c)
		}
	}
	return cases
}

// badRequests cannot be parsed.
func badRequests() []streamCase {
	a := aPacket("bad", 0)
	return []streamCase{
		{name: "no request", bytes: "rubbish\r\n\r\n"},
		{name: "a bare LF", bytes: strings.Replace(posting("bad"), "\r\n", "\n", 1)},
		{name: "two lengths", bytes: posting("bad", "Content-Length: 1")},
		{name: "a length and chunks", bytes: posting("bad", "Transfer-Encoding: chunked")},
		{name: "an unknown coding", bytes: head("POST /ingest HTTP/1.1", "Host: t", "Transfer-Encoding: x") + chunk(a) + lastChunk},
		{name: "a wrong chunk", bytes: chunkHead() + chunk(a[:10]) + "x\r\n" + a[10:]},
		{name: "a folded field", bytes: posting("bad", "X: y", " z")},
		{name: "no Host", bytes: postingAs("POST /ingest HTTP/1.1", "bad")},
		{name: "NUL", bytes: posting("bad", "X: \x00")},
		{name: "a byte too much", bytes: "x" + strings.Replace(posting("bad"), "POST", "PO ST", 1)},
		{name: "NDJSON without a request", bytes: a + "\r\n" + a + "\r\n"},
	}
}

// smugglingCases have a request that some parsers see and others do not.
func smugglingCases() []streamCase {
	hidden := posting("smuggled")
	var cases []streamCase
	kept := func(name, text string, status int, code string) {
		c := refusedAs("smuggling: "+name, "Http11Probe and http-garden have such", text, status, code, false)
		if status == 405 {
			c.allow = "POST"
		}
		cases = append(cases, c)
	}
	within := func(line string) string {
		return head(line, "Host: t", fmt.Sprintf("Content-Length: %d", len(hidden))) + hidden
	}
	kept("a request as a body", within("POST /ingest HTTP/1.1"), 400, "malformed")
	kept("behind GET", within("GET /other HTTP/1.1"), 200, "")
	kept("behind GET of /ingest", within("GET /ingest HTTP/1.1"), 405, "method_not_allowed")
	kept("behind OPTIONS", within("OPTIONS /ingest HTTP/1.1"), 405, "method_not_allowed")
	kept("behind DELETE", within("DELETE /ingest HTTP/1.1"), 405, "method_not_allowed")
	kept("behind an unknown path", within("POST /nowhere HTTP/1.1"), 404, "not_found")
	kept("behind OPTIONS *", within("OPTIONS * HTTP/1.1"), 404, "not_found")
	kept("behind CONNECT", within("CONNECT t:80 HTTP/1.1"), 404, "not_found")
	kept("behind an unknown coding", head("POST /ingest HTTP/1.1", "Host: t", "Content-Encoding: br", fmt.Sprintf("Content-Length: %d", len(hidden)))+hidden, 415, "unsupported_encoding")
	kept("in a chunk", chunkHead()+chunk(hidden)+lastChunk, 400, "malformed")
	kept("in several chunks", chunked(hidden+hidden, 9), 400, "malformed")
	kept("in a chunk that ends as the last one", chunkHead()+chunk("0\r\n\r\n"+hidden)+lastChunk, 400, "invalid_packet")
	headOf := streamCase{name: "smuggling: behind HEAD", source: "Http11Probe", bytes: within("HEAD /other HTTP/1.1"), statuses: []int{200}, bodiless: true}
	cases = append(cases, headOf)
	return slices.Concat(cases, desyncCases(hidden), closedBodyCases(hidden))
}

// desyncCases have two lengths, each of which a parser might use.
func desyncCases(hidden string) []streamCase {
	var cases []streamCase
	desync := func(name string, lines ...string) {
		for _, form := range []string{lastChunk + hidden, chunk(hidden) + lastChunk, "1\r\nZ\r\nQ\r\n\r\n" + hidden} {
			text := head(append([]string{"POST /ingest HTTP/1.1", "Host: t"}, lines...)...) + form
			cases = append(cases, brief(malformed(fmt.Sprintf("smuggling: %s, %.5q", name, form), "Http11Probe and http-garden have such", text)))
		}
	}
	for _, length := range []string{"Content-Length: 5", "Content-Length: 4", "Content-Length: 0", "Content-Length: +5", "Content-Length: x", "content-length: 6"} {
		desync("chunked and "+length, "Transfer-Encoding: chunked", length)
		desync(length+" and chunked", length, "Transfer-Encoding: chunked")
		desync(length+" twice", length, length)
	}
	for _, coding := range []string{
		"Transfer-Encoding: xchunked", "Transfer-Encoding : chunked", "Transfer-Encoding: ,chunked", "Transfer-Encoding: chunked,", "Transfer-Encoding:\x0bchunked", "Transfer-Encoding: identity", "Transfer-Encoding: chunk",
		"Transfer-Encoding:\r\n chunked", "X: y\nTransfer-Encoding: chunked", " Transfer-Encoding: chunked", "X:\rTransfer-Encoding: chunked", "Transfer-Encoding: \x00chunked", "Transfer\x00-Encoding: chunked", "Transfer Encoding: chunked",
	} {
		desync(fmt.Sprintf("%q", coding), "Content-Length: 5", coding)
	}
	return cases
}

// closedBodyCases have bodies that are not skipped, so the bytes after them are not parsed.
func closedBodyCases(hidden string) []streamCase {
	const source = "own"
	padding := strings.Repeat("x", 64<<10) + hidden
	unread := func(name, text string, status int, code string) streamCase {
		c := refusedAs("smuggling: "+name, source, text, status, code, true)
		if status == 405 {
			c.allow = "POST"
		}
		return c
	}
	large := fmt.Sprintf("Content-Length: %d", len(padding))
	return []streamCase{
		unread("behind a large body of GET", head("GET /other HTTP/1.1", "Host: t", large)+padding, 200, ""),
		unread("behind a large body elsewhere", head("POST /nowhere HTTP/1.1", "Host: t", large)+padding, 404, "not_found"),
		unread("behind a large body with another method", head("PUT /ingest HTTP/1.1", "Host: t", large)+padding, 405, "method_not_allowed"),
		unread("behind a large body of an unknown coding", head("POST /ingest HTTP/1.1", "Host: t", large, "Content-Encoding: br")+padding, 415, "unsupported_encoding"),
		unread("behind a body that is too large", head("POST /ingest HTTP/1.1", "Host: t", "Content-Length: 300000")+strings.Repeat(hidden, 300), 413, "too_large"),
		unread("behind chunks of GET", head("GET /other HTTP/1.1", "Host: t", "Transfer-Encoding: chunked")+chunk(hidden)+lastChunk+hidden, 200, ""),
		unread("behind chunks elsewhere", head("POST /nowhere HTTP/1.1", "Host: t", "Transfer-Encoding: chunked")+chunk(hidden)+lastChunk+hidden, 404, "not_found"),
		unread("behind chunks of an unknown coding", chunkHead("Content-Encoding: br")+chunk(hidden)+lastChunk+hidden, 415, "unsupported_encoding"),
	}
}
