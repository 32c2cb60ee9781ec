package native

import (
	"fmt"
	"slices"
	"strings"
)

const connectionRule = "RFC 9112 section 9.3"

// last is a case whose requests are accepted and whose last request ends the connection.
func last(name, source, bytes string, packets ...string) streamCase {
	c := taken(name, source, bytes, packets...)
	c.closed = true
	return c
}

func connectionCases() []streamCase {
	var cases []streamCase
	for _, lines := range [][]string{
		{"Connection: close"}, {"connection:close"}, {"CONNECTION: CLOSE"}, {"Connection: cLoSe"}, {"Connection: keep-alive, close"}, {"Connection: close, keep-alive"}, {"Connection: TE,close"}, {"Connection: close,"}, {"Connection: ,,close"},
		{"Connection: \tclose\t"}, {"Connection: x , close , y"}, {"Connection: keep-alive", "Connection: close"}, {"Connection: close", "Connection: keep-alive"}, {"Connection: x", "X: y", "Connection: close"}, {"Connection: close", "Connection: close"},
		{"Connection:", "Connection: close"},
	} {
		name := fmt.Sprintf("closes with %q", lines)
		cases = append(cases, last(name, connectionRule, posting("a", lines...), "a"))
		behind := last(name+", a request behind", "RFC 9112 section 9.6", posting("a", lines...)+posting("behind"), "a")
		cases = append(cases, behind)
	}
	for _, lines := range [][]string{
		{"Connection:"}, {"Connection: keep-alive"}, {"Connection: ,"}, {"Connection: x"}, {"Connection: closed"}, {"Connection: clos"}, {"Connection: close;x"}, {`Connection: "close"`}, {"Connection: close x"}, {"Connection: not close"}, {"Connection: Content-Length"},
		{"Connection: Host, Transfer-Encoding"}, {"Proxy-Connection: close"}, {"Keep-Alive: timeout=0"}, {"X-Connection: close"}, {"Connections: close"},
	} {
		cases = append(cases, brief(taken(fmt.Sprintf("goes on with %q", lines), connectionRule, posting("a", lines...)+posting("b", lines...), "a", "b")))
	}
	get := streamCase{name: "GET that closes", source: connectionRule, bytes: "GET /other HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", statuses: []int{200}, closed: true}
	chunks := last("chunks that close", connectionRule, chunking("a", "Connection: close")+posting("behind"), "a")
	refused := refusedAs("a refusal that closes", connectionRule, strings.Replace(posting("a", "Connection: close"), "INFO", "", 1), 400, "invalid_packet", true)
	return slices.Concat(cases, []streamCase{get, chunks, refused}, oldVersionCases(), cutCases())
}

// oldVersionCases have HTTP/1.0.
func oldVersionCases() []streamCase {
	const old = "POST /ingest HTTP/1.0"
	source := "RFC 9112 section 9.3, Http11Probe"
	cases := []streamCase{
		splitEverywhere(last("HTTP/1.0", source, postingAs(old, "a"), "a")),
		last("HTTP/1.0 with Host", source, postingAs(old, "a", "Host: t"), "a"),
		last("HTTP/1.0, a request behind", source, postingAs(old, "a")+posting("behind"), "a"),
		last("HTTP/1.0 that closes", source, postingAs(old, "a", "Connection: close"), "a"),
		last("HTTP/1.0 that does and does not close", source, postingAs(old, "a", "Connection: keep-alive, close"), "a"),
		last("HTTP/1.0 with Expect", "RFC 9110 section 10.1.1, Http11Probe", postingAs(old, "a", "Expect: 100-continue"), "a"),
		last("HTTP/1.0 with an upgrade", "RFC 9110 section 7.8, Http11Probe", postingAs(old, "a", "Connection: upgrade", "Upgrade: h2c"), "a"),
		refusedAs("HTTP/1.0 without a length", lengthRule, old+"\r\n\r\n", 400, "malformed", true),
	}
	for _, connection := range []string{"keep-alive", "Keep-Alive", "KEEP-ALIVE", "x, keep-alive", "keep-alive,"} {
		c := taken("HTTP/1.0 with Connection: "+connection, source, postingAs(old, "a", "Connection: "+connection), "a")
		c.keepAlive = true
		cases = append(cases, c)
	}
	cut := last("HTTP/1.0 whose body is cut", source, postingAs(old, "a")[:100])
	cut.statuses, cut.code, cut.cut = []int{400}, "malformed", true
	return append(cases, cut)
}

// cutCases have clients that half-close the connection after the requests.
func cutCases() []streamCase {
	cut := func(c streamCase) streamCase {
		c.name, c.cut = c.name+", cut", true
		return c
	}
	return []streamCase{
		cut(taken("a request", connectionRule, posting("a"), "a")),
		cut(taken("three requests", connectionRule, posting("a")+posting("b")+posting("c"), "a", "b", "c")),
		cut(taken("chunks", connectionRule, chunking("a"), "a")),
		cut(last("a request that closes", connectionRule, posting("a", "Connection: close"), "a")),
		cut(taken("an empty line behind a request", "RFC 9112 section 2.2", posting("a")+"\r\n", "a")),
		cut(taken("an empty line alone", "RFC 9112 section 2.2", "\r\n")),
		cut(taken("empty lines alone", "RFC 9112 section 2.2", "\r\n\r\n\r\n")),
		cut(malformed("half an empty line", "RFC 9112 section 2.2", "\r\n\r")),
	}
}

func expectCases() []streamCase {
	const rule = "RFC 9110 section 10.1.1"
	waits := func(c streamCase) streamCase {
		c.interims = len(c.packets)
		return c
	}
	var cases []streamCase
	for _, line := range []string{"Expect: 100-continue", "expect:100-continue", "EXPECT: 100-CONTINUE", "Expect: \t100-Continue\t", "Expect: x, 100-continue", "Expect: 100-continue,x=y", "Expect: ,100-continue", "Expect: x\r\nExpect: 100-continue"} {
		cases = append(cases, waits(taken(fmt.Sprintf("%q", line), rule, posting("a", line), "a")))
	}
	for _, line := range []string{"Expect:", "Expect: x", "Expect: 100", "Expect: 100-continue-x", "Expect: 200-ok", "Expect: 100-continue;x", "Expect: x=y", `Expect: "100-continue"`, "XExpect: 100-continue"} {
		cases = append(cases, brief(taken(fmt.Sprintf("%q is ignored", line), rule+", Http11Probe", posting("a", line), "a")))
	}
	refused := func(name, text string, status int, code string) streamCase {
		return refusedAs("expects, but "+name, rule, text, status, code, true)
	}
	const expect = "Expect: 100-continue"
	method := refused("the method is another", strings.Replace(posting("a", expect), "POST", "PUT", 1), 405, "method_not_allowed")
	method.allow = "POST"
	twice := waits(taken("two requests that expect", rule, posting("a", expect)+posting("b", expect), "a", "b"))
	chunks := waits(taken("chunks that expect", rule, chunking("a", expect), "a"))
	closes := waits(last("expects and closes", rule, posting("a", expect, "Connection: close"), "a"))
	empty := refusedAs("expects, but has no body", rule, head("POST /ingest HTTP/1.1", "Host: t", expect, "Content-Length: 0"), 400, "malformed", false)
	unasked := streamCase{name: "GET that expects, without a body", source: rule, bytes: head("GET /other HTTP/1.1", "Host: t", expect), statuses: []int{200}}
	return append(cases, method, chunks, empty, unasked, splitEverywhere(closes), twice,
		refused("the path is another", strings.Replace(posting("a", expect), "/ingest", "/nowhere", 1), 404, "not_found"),
		refused("the coding is unknown", posting("a", expect, "Content-Encoding: br"), 415, "unsupported_encoding"),
		malformed("expects, but the length is wrong", rule, posting("a", expect, "Content-Length: 3")),
		malformed("expects, but Host is missing", rule, postingAs("POST /ingest HTTP/1.1", "a", expect)),
		malformed("expects, but the coding is wrong", rule, posting("a", expect, "Transfer-Encoding: identity")),
	)
}
