package native

import (
	"fmt"
	"strings"
)

const requestLineRule = "RFC 9112 section 3"

func requestLineCases() []streamCase {
	cases := []streamCase{
		splitEverywhere(taken("baseline", "Http11Probe baseline", posting("a"), "a")),
		taken("field without a space", "RFC 9112 section 5", postingAs("POST /ingest HTTP/1.1\r\nHost:t", "a"), "a"),
		splitEverywhere(taken("an empty line before", "RFC 9112 section 2.2, Http11Probe leading CRLF", "\r\n"+posting("a"), "a")),
		taken("several empty lines before", "RFC 9112 section 2.2", "\r\n\r\n\r\n\r\n"+posting("a"), "a"),
		taken("empty lines between", "RFC 9112 section 2.2", posting("a")+"\r\n\r\n"+posting("b"), "a", "b"),
		malformed("a bare LF before", "RFC 9112 section 2.2", "\n"+posting("a")),
		malformed("a bare CR before", "RFC 9112 section 2.2", "\r"+posting("a")),
		malformed("a line of spaces before", "Http11Probe whitespace-only line", "   \r\n"+posting("a")),
		malformed("a space before the method", requestLineRule, " "+posting("a")),
		malformed("a field before the request line", requestLineRule, "Host: t\r\n"+posting("a")),
		malformed("random bytes", "Http11Probe binary garbage", "\x00\x01\x02\xfe\xff\x80\x90\r\n\r\n"),
		malformed("a TLS hello", "own", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
		malformed("a request of HTTP/0.9", "RFC 9112 section 2.3, Http11Probe", "GET /ingest\r\n"),
		malformed("no target and no version", requestLineRule, "POST\r\nHost: t\r\n\r\n"),
		malformed("an empty target", "Http11Probe missing target", postingAs("POST  HTTP/1.1\r\nHost: t", "a")),
		malformed("a missing target", "Http11Probe missing target", postingAs("POST HTTP/1.1\r\nHost: t", "a")),
		malformed("a fourth word", requestLineRule, postingAs("POST /ingest HTTP/1.1 x\r\nHost: t", "a")),
		malformed("a space in the target", "Http11Probe space in target", postingAs("POST /in gest HTTP/1.1\r\nHost: t", "a")),
		malformed("two spaces before the target", "Http11Probe multiple spaces", postingAs("POST  /ingest HTTP/1.1\r\nHost: t", "a")),
		malformed("two spaces before the version", "Http11Probe multiple spaces", postingAs("POST /ingest  HTTP/1.1\r\nHost: t", "a")),
		malformed("a space behind the version", "Http11Probe whitespace in version", postingAs("POST /ingest HTTP/1.1 \r\nHost: t", "a")),
		malformed("a tab behind the method", "Http11Probe tab in request line", postingAs("POST\t/ingest HTTP/1.1\r\nHost: t", "a")),
		malformed("a tab before the version", "Http11Probe tab in request line", postingAs("POST /ingest\tHTTP/1.1\r\nHost: t", "a")),
		malformed("LF behind the request line", "RFC 9112 section 2.2, Http11Probe", postingAs("POST /ingest HTTP/1.1\nHost: t", "a")),
		malformed("CR behind the request line", "RFC 9112 section 2.2, Http11Probe", postingAs("POST /ingest HTTP/1.1\rHost: t", "a")),
		malformed("CR CR LF behind the request line", "RFC 9112 section 2.2", postingAs("POST /ingest HTTP/1.1\r\r\nHost: t", "a")),
		malformed("CRs alone", "Http11Probe CR-only line endings", strings.ReplaceAll(posting("a"), "\r\n", "\r")),
		malformed("LFs alone", "RFC 9112 section 2.2", strings.ReplaceAll(posting("a"), "\r\n", "\n")),
		malformed("LF ends the head", "RFC 9112 section 2.2", strings.Replace(posting("a"), "\r\n\r\n", "\r\n\n", 1)),
		malformed("two LFs end the head", "RFC 9112 section 2.2", strings.Replace(posting("a"), "\r\n\r\n", "\n\n", 1)),
		cutOff("a request line that is cut", "Http11Probe incomplete request", "POST /ing"),
		cutOff("a head that is cut", "Http11Probe incomplete request", "POST /ingest HTTP/1.1\r\nHost: t\r\n"),
		cutOff("a head that is cut within its end", "Http11Probe incomplete request", "POST /ingest HTTP/1.1\r\nHost: t\r\n\r"),
		{name: "nothing at all", source: "Http11Probe empty request", cut: true},
		refusedAs("HTTP/2 preface", "RFC 9113 section 3.4, Http11Probe", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "malformed", true),
	}
	return append(cases, versionCases()...)
}

func versionCases() []streamCase {
	const rule = "RFC 9112 section 2.3"
	var cases []streamCase
	for minor := 2; minor <= 9; minor++ {
		begin := fmt.Sprintf("POST /ingest HTTP/1.%d\r\nHost: t", minor)
		cases = append(cases, brief(taken(fmt.Sprintf("HTTP/1.%d", minor), rule+", Http11Probe", postingAs(begin, "a"), "a")))
	}
	for _, version := range []string{"0.0", "0.9", "2.0", "2.1", "3.0", "9.9"} {
		text := postingAs("POST /ingest HTTP/"+version+"\r\nHost: t", "a")
		cases = append(cases, refusedAs("HTTP/"+version, "RFC 9110 section 15.6.6", text, 505, "malformed", true))
	}
	for _, version := range []string{
		"HTTP/1", "HTTP/1.", "HTTP/.1", "HTTP/11", "HTTP/1.10", "HTTP/01.1", "HTTP/1.01", "HTTP/1,1", "HTTP/1.x", "HTTP/x.1",
		"HTTP/-1.1", "HTTP/+1.1", "HTTP/1.1.1", "HTTP 1.1", "HTTP1.1", "HTTP//1.1", "HTTP\\1.1", "http/1.1", "Http/1.1", "HTTPS/1.1",
		"HTTP/1.1\x00", "HTTP/1.\xb9", "HTP/1.1", "XHTTP/1.1", "ICY/1.1", "HTTP/", "HTTP", "/", "1.1",
	} {
		text := postingAs("POST /ingest "+version+"\r\nHost: t", "a")
		cases = append(cases, brief(malformed(fmt.Sprintf("version %q", version), rule+", Http11Probe and llhttp have such", text)))
	}
	return cases
}

func methodCases() []streamCase {
	var cases []streamCase
	for _, method := range []string{
		"GET", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "post", "Post", "POSTS", "POS", "X", "PRI", "M-SEARCH", "!#$%&'*+-.^_`|~9",
		strings.Repeat("M", 100),
	} {
		for _, body := range []bool{false, true} {
			c := refusedAs(fmt.Sprintf("method %.20s, with a body: %t", method, body), "RFC 9110 section 15.5.6, Http11Probe",
				method+" /ingest HTTP/1.1\r\nHost: t\r\n\r\n", 405, "method_not_allowed", false)
			if body {
				c.bytes = postingAs(method+" /ingest HTTP/1.1\r\nHost: t", "a")
			}
			c.allow = "POST"
			cases = append(cases, c)
		}
	}
	for _, method := range []string{"PO(ST", "PO)ST", "PO<ST", "PO>ST", "PO@ST", "PO,ST", "PO;ST", "PO:ST", `PO\ST`, `PO"ST`, "PO/ST", "PO[ST", "PO]ST", "PO?ST", "PO=ST", "PO{ST", "PO}ST", "PO\x00ST", "PO\x7fST", "PO\x80ST", "\xef\xbb\xbfPOST"} {
		cases = append(cases, brief(malformed(fmt.Sprintf("method %q", method), "RFC 9110 section 9.1, llhttp", postingAs(method+" /ingest HTTP/1.1\r\nHost: t", "a"))))
	}
	get := streamCase{name: "GET", source: "own", bytes: "GET /other HTTP/1.1\r\nHost: t\r\n\r\n", statuses: []int{200}}
	withHead := get
	withHead.name, withHead.source, withHead.bodiless = "HEAD", "RFC 9110 section 9.3.2, Http11Probe", true
	withHead.bytes = strings.Replace(get.bytes, "GET", "HEAD", 1)
	refused := withHead
	refused.name, refused.bytes, refused.statuses, refused.allow = "HEAD of /ingest", "HEAD /ingest HTTP/1.1\r\nHost: t\r\n\r\n", []int{405}, "POST"
	unknown := withHead
	broken := malformed("HEAD with a CR in its version", "own", "HEAD /other HTTP\r/1.1\r\nHost: t\r\n\r\n")
	broken.code, broken.bodiless, broken.everyByte = "", true, true
	cutTarget := broken
	cutTarget.name, cutTarget.bytes = "HEAD with a CR in its target", "HEAD /oth\rer HTTP/1.1\r\nHost: t\r\n\r\n"
	unknown.name, unknown.bytes, unknown.statuses = "HEAD of an unknown path", "HEAD /nowhere HTTP/1.1\r\nHost: t\r\n\r\n", []int{404}
	return append(cases, get, withHead, refused, unknown, broken, cutTarget)
}
