package native

import (
	"fmt"
	"slices"
	"strings"
)

const targetRule = "RFC 9112 section 3.2"

func targetCases() []streamCase {
	var cases []streamCase
	for _, target := range []string{
		"/ingest", "/ingest?", "/ingest?x=y", "/ingest?a&b=%zz", "/ingest??", "/ingest?/../", "/%69ngest", "/%69%6E%67%65%73%74", "//ingest", "/ingest?\"<>\\^`{|}",
		"http://t/ingest", "http://t:80/ingest", "http://t:/ingest", "https://t/ingest?x", "HTTP://t/ingest", "http://[::1]:8080/ingest",
		"http://other.example/ingest", "http://127.0.0.1/ingest", "http://t//ingest", "/ingest?" + strings.Repeat("x", 7000),
	} {
		cases = append(cases, brief(taken(fmt.Sprintf("target %.40s", target), targetRule, to(target), "a")))
	}
	for _, target := range []string{
		"/", "/ingest/", "/Ingest", "/ingest;x", "/ingest%00", "/ingest%0d%0a", "/ingest%2f", "/ingest%zz", "/ingest%", "/..", "/./ingest", "/x/../ingest",
		"/%2e/ingest", "/ingest\\", "/http://t/ingest", "http://t", "http://t/", "http://t?ingest", "http://t?/ingest", "/*", "/%c0%af",
	} {
		cases = append(cases, brief(refusedAs("target "+target, targetRule, to(target), 404, "not_found", false)))
	}
	for _, target := range []string{
		"ingest", "*", "ingest/", "?x", "t/ingest", "t:80", "t:80/ingest", "http:/ingest", "http:", "http://", "http:///ingest", "http://?x", "ftp://t/ingest",
		"://t/ingest", "http//t/ingest", "http://t:x/ingest", "http://t:65536/ingest", "http://u@t/ingest", "http://u:p@t/ingest", "http://[::1/ingest",
		"http://::1/ingest", "http://a<b/ingest", "file:///ingest", "javascript:x", "\\ingest", ".", "..", "%2fingest", "http://%zz/ingest",
	} {
		cases = append(cases, brief(malformed("target "+target, targetRule, to(target))))
	}
	return slices.Concat(cases, targetByteCases(), otherFormCases())
}

func to(target string) string { return postingAs("POST "+target+" HTTP/1.1\r\nHost: t", "a") }

// targetByteCases have each byte that is not allowed in a target.
func targetByteCases() []streamCase {
	var cases []streamCase
	add := func(c byte) {
		for _, target := range []string{"/in%sgest", "/ingest?x%sy"} {
			target = fmt.Sprintf(target, string([]byte{c}))
			cases = append(cases, brief(malformed(fmt.Sprintf("target %q", target), "RFC 3986, Http11Probe and llhttp have such", to(target))))
		}
	}
	for c := byte(0); c < ' '; c++ {
		if c != '\n' && c != '\r' {
			add(c)
		}
	}
	for _, c := range []byte{'#', 0x7f, 0x80, 0xa0, 0xc3, 0xff} {
		add(c)
	}
	return cases
}

func otherFormCases() []streamCase {
	options := func(name, target string, status int, code, allow string) streamCase {
		c := refusedAs(name, "RFC 9112 section 3.2.4, Http11Probe", "OPTIONS "+target+" HTTP/1.1\r\nHost: t\r\n\r\n", status, code, false)
		c.allow = allow
		return c
	}
	connect := func(target string) string { return "CONNECT " + target + " HTTP/1.1\r\nHost: t:80\r\n\r\n" }
	cases := []streamCase{
		options("OPTIONS *", "*", 404, "not_found", ""),
		options("OPTIONS /ingest", "/ingest", 405, "method_not_allowed", "POST"),
		refusedAs("CONNECT", "RFC 9112 section 3.2.3, Http11Probe", connect("t:80"), 404, "not_found", false),
		refusedAs("CONNECT of an address", "RFC 9112 section 3.2.3", connect("[::1]:443"), 404, "not_found", false),
	}
	for _, target := range []string{"/ingest", "*", "http://t:80/", "t:x", "t", "t:", "[::1]", "[::1]:", "t:99999", "u@t:80", ":80"} {
		cases = append(cases, brief(malformed("CONNECT "+target, "RFC 9112 section 3.2.3", connect(target))))
	}
	for _, method := range []string{"GET", "HEAD", "POST", "options"} {
		c := malformed(method+" *", "RFC 9112 section 3.2.4, Http11Probe", method+" * HTTP/1.1\r\nHost: t\r\n\r\n")
		if method == "HEAD" {
			c.code, c.bodiless = "", true
		}
		cases = append(cases, c)
	}
	return cases
}

func hostCases() []streamCase {
	const rule = "RFC 9112 section 3.2, RFC 9110 section 7.2"
	var cases []streamCase
	for _, host := range []string{
		"t", "T", "t.example", "t.example.", "t:8080", "t:0", "t:65535", "t:", "t:00080", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:80", "[fe80::1]:",
		"[::ffff:1.2.3.4]", "a_b", "a-b.c~d", "%41", "xn--bcher-kva.example", "a!$&'()*+,;=", "a,b", "\tt\t", "  t  ",
	} {
		cases = append(cases, brief(taken(fmt.Sprintf("host %q", host), rule, hosted(host), "a")))
	}
	for _, host := range []string{
		"", " ", "a b", "a/b", "a:b", "[::1", "a?b", "a#b", "a@b", "u:p@t", "<a>", "\xff", "t\xffu", "::1", "[::1]x", "a:99999", "a:65536", "a:-1", "a:+1", "a:8 0",
		"a:80:80", ":80", ":", "[]", "[", "]", "[::1]:x", "[::1]]", "[[::1]]", "[1.2.3.4]", "[::g]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "a[b", "http://t", "t/", "t\\", "a\"b", "a^b", "a|b",
		"a`b", "{a}", "%", "%4", "%zz", "a%4", "a\tb", "t, u", "a:0x50", "a\x00b", "a\x7fb", "é.example",
	} {
		cases = append(cases, brief(malformed(fmt.Sprintf("host %q", host), rule+", Http11Probe", hosted(host))))
	}
	return append(cases,
		malformed("no Host", rule+", Http11Probe", postingAs("POST /ingest HTTP/1.1", "a")),
		malformed("no Host, HTTP/1.2", rule, postingAs("POST /ingest HTTP/1.2", "a")),
		malformed("no Host, absolute form", rule, postingAs("POST http://t/ingest HTTP/1.1", "a")),
		malformed("two Hosts", rule+", Http11Probe", posting("a", "Host: u")),
		malformed("two equal Hosts", rule+", Http11Probe", posting("a", "Host: t")),
		malformed("two Hosts, in other case", rule, posting("a", "hOST: t")),
		malformed("two Hosts, one empty", rule, posting("a", "Host:")),
		malformed("two Hosts, HTTP/1.0", rule, postingAs("POST /ingest HTTP/1.0\r\nHost: t", "a", "Host: t")),
		malformed("a bad Host, HTTP/1.0", rule, postingAs("POST /ingest HTTP/1.0\r\nHost: a b", "a")),
		taken("Host behind the other fields", rule, postingAs("POST /ingest HTTP/1.1", "a", "X: y", "host: t"), "a"),
	)
}

func hosted(host string) string { return postingAs("POST /ingest HTTP/1.1\r\nHost: "+host, "a") }
