package native

import (
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// responseCase is a response to a packet, the outcome for the packet, and whether the
// connection is reused.
type responseCase struct {
	name    string
	reply   reply
	outcome sink.Outcome
	reused  bool
}

const (
	delivered = sink.Delivered
	failure   = sink.Failed
	length2   = "Content-Length: 2\r\n"
	chunked   = "Transfer-Encoding: chunked\r\n"
)

func with200(header, rest string) string { return "HTTP/1.1 200 OK\r\n" + header + "\r\n" + rest }

// thenClose is a reply after which the analyzer closes the connection.
func thenClose(text string) reply { return reply{parts: []string{text}, cut: true} }

// Only a well-formed, complete final 2xx response is a delivery; an ambiguous one is a failure
// and closes the connection.
func TestResponseConformance(t *testing.T) {
	for _, cases := range [][]responseCase{
		statusLineCases(), interimCases(), fieldCases(), lengthCases(), chunkCases(), bodylessCases(), otherStatusCases(),
	} {
		for _, test := range cases {
			t.Run(test.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) { checkResponse(t, test) })
			})
		}
	}
}

// checkResponse sends two packets: the first gets the reply of the case, the second is delivered.
func checkResponse(t *testing.T, test responseCase) {
	t.Helper()
	analyzer := newFakeAnalyzer(func(r receivedRequest) reply {
		if strings.Contains(r.body, `"packet_id":"1"`) {
			return test.reply
		}
		return ok
	})
	f := start(t, testURL(t), analyzer.dial)
	one, two := f.send(t, 1), f.send(t, 1)
	if one.Outcome != test.outcome || two.Outcome != delivered {
		t.Errorf("the result is %+v, want the outcome %d; the next one is %+v", one, test.outcome, two)
	}
	if one.Outcome == sink.Rejected && one.Reason != sink.InvalidPacket {
		t.Errorf("the packet is rejected for %q", one.Reason)
	}
	if got := analyzer.received(); got[0].connection == got[len(got)-1].connection != test.reused {
		t.Errorf("connection reused: %v", !test.reused)
	}
}

// statusLineCases have malformed and unusual status lines.
func statusLineCases() []responseCase {
	return []responseCase{
		{"status 000", say("HTTP/1.1 000 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 001", say("HTTP/1.1 001 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 099", say("HTTP/1.1 099 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 600", say("HTTP/1.1 600 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 999", say("HTTP/1.1 999 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 2xx", say("HTTP/1.1 2xx OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 20", say("HTTP/1.1 20 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 2", say("HTTP/1.1 2 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 2000", say("HTTP/1.1 2000 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 0200", say("HTTP/1.1 0200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status +20", say("HTTP/1.1 +20 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status -200", say("HTTP/1.1 -200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 2e2", say("HTTP/1.1 2e2 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 200.0", say("HTTP/1.1 200.0 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status 0xc8", say("HTTP/1.1 0xc8 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"status of 2^64+200", say("HTTP/1.1 18446744073709551816 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"no status", say("HTTP/1.1\r\n" + length2 + "\r\n{}"), failure, false},
		{"no status but a space", say("HTTP/1.1 \r\n" + length2 + "\r\n{}"), failure, false},
		{"no status but a reason", say("HTTP/1.1 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"no reason", say("HTTP/1.1 200 \r\n" + length2 + "\r\n{}"), delivered, true},
		{"no reason and no space", say("HTTP/1.1 200\r\n" + length2 + "\r\n{}"), delivered, true},
		{"reason next to the status", say("HTTP/1.1 200OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"reason of another status", say("HTTP/1.1 200 500 Internal Server Error\r\n" + length2 + "\r\n{}"), delivered, true},
		{"reason in UTF-8", say("HTTP/1.1 200 \u00fcber\r\n" + length2 + "\r\n{}"), delivered, true},
		{"reason with a zero", say("HTTP/1.1 200 O\x00K\r\n" + length2 + "\r\n{}"), failure, false},
		{"two spaces", say("HTTP/1.1  200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"a tab", say("HTTP/1.1\t200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"a space in front", say(" HTTP/1.1 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"an empty line in front", say("\r\nHTTP/1.1 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"HTTP/0.9", thenClose("<html>OK</html>"), failure, false},
		{"HTTP/0.9 with a status", say("HTTP/0.9 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"HTTP/1.0", say("HTTP/1.0 200 OK\r\n" + length2 + "\r\n{}"), delivered, false},
		{"HTTP/1.0 with keep-alive", say("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n" + length2 + "\r\n{}"), delivered, true},
		{"HTTP/1.2", say("HTTP/1.2 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"HTTP/1.10", say("HTTP/1.10 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"HTTP/2.0", say("HTTP/2.0 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"HTTP/2 200", say("HTTP/2 200\r\n" + length2 + "\r\n{}"), failure, false},
		{"HTTP/9.9", say("HTTP/9.9 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"HTTP/1,1", say("HTTP/1,1 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"http/1.1", say("http/1.1 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"HTTPS", say("HTTPS/1.1 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"ICY", say("ICY 200 OK\r\n" + length2 + "\r\n{}"), failure, false},
		{"bytes of TLS", thenClose("\x15\x03\x01\x00\x02\x02\x0a"), failure, false},
		{"a request", say("POST /ingest HTTP/1.1\r\nHost: x\r\n" + length2 + "\r\n{}"), failure, false},
	}
}

// interimCases have 1xx responses before the final response.
func interimCases() []responseCase {
	return []responseCase{
		{"a storm of 100s", say(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 10_000), ok.parts[0]), failure, false},
		{"100s without an end", thenClose(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000)), failure, false},
		{"fifty 103s", say(strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n", 50), ok.parts[0]), delivered, true},
		{"a thousand 100s", say(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000), ok.parts[0]), delivered, true},
		{"a folded field in a 103", say("HTTP/1.1 103 Early Hints\r\nLink: </a>;\r\n rel=preload\r\n\r\n" + ok.parts[0]), delivered, true},
		{"199 first", say("HTTP/1.1 199 X\r\n\r\n" + ok.parts[0]), delivered, true},
		{"100 with a body", say("HTTP/1.1 100 Continue\r\n" + length2 + "\r\n{}" + ok.parts[0]), failure, false},
		{"100 in chunks", say("HTTP/1.1 100 Continue\r\n" + chunked + "\r\n0\r\n\r\n" + ok.parts[0]), failure, false},
		{"100 and the end", thenClose("HTTP/1.1 100 Continue\r\n\r\n"), failure, false},
		{"101", say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + ok.parts[0]), failure, false},
	}
}

// fieldCases have malformed and unusual header fields.
func fieldCases() []responseCase {
	return []responseCase{
		{"no colon", say(with200(length2+"garbage\r\n", "{}")), failure, false},
		{"no name", say(with200(length2+": garbage\r\n", "{}")), failure, false},
		{"a space before the colon", say(with200("Content-Length : 2\r\n", "{}")), failure, false},
		{"a space in a name", say(with200(length2+"X Y: z\r\n", "{}")), failure, false},
		{"a bracket in a name", say(with200(length2+"X(Y): z\r\n", "{}")), failure, false},
		{"UTF-8 in a name", say(with200(length2+"X\u00fc: z\r\n", "{}")), failure, false},
		{"UTF-8 in a value", say(with200(length2+"X: \u00fc\r\n", "{}")), delivered, true},
		{"no value", say(with200(length2+"X:\r\n", "{}")), delivered, true},
		{"a zero in a value", say(with200(length2+"X: \x00\r\n", "{}")), failure, false},
		{"a CR in a value", say(with200(length2+"X: a\rContent-Length: 9\r\n", "{}")), failure, false},
		{"a folded line", say(with200("X: a\r\n Content-Length: 9\r\n"+length2, "{}")), delivered, true},
		{"a line folded with tabs", say(with200("X: a\r\n\tb\r\n \t\r\n"+length2, "{}")), delivered, true},
		{"a folded length", say(with200("Content-Length:\r\n 2\r\n", "{}")), delivered, true},
		{"a length folded within", say(with200("Content-Length: 1\r\n 2\r\n", "{}")), failure, false},
		{"a folded coding", say(with200("Transfer-Encoding:\r\n\tchunked\r\n", "2\r\n{}\r\n0\r\n\r\n")), delivered, true},
		{"a coding that is folded into two", say(with200("Transfer-Encoding: chunked\r\n , identity\r\n", "2\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"a folded close", say(with200("Connection:\r\n close\r\n"+length2, "{}")), delivered, false},
		{"a folded name", say(with200("Content-Length\r\n : 2\r\n", "{}")), failure, false},
		{"a zero in a folded line", say(with200("X: a\r\n b\x00\r\n"+length2, "{}")), failure, false},
		{"a folded line and a bare line feed", say(with200("X: a\n b\r\n"+length2, "{}")), failure, false},
		{"a huge folded field", say(with200(length2+"X: y\r\n"+strings.Repeat(" z\r\n", 16<<10), "{}")), failure, false},
		{"a folded first line", say(with200(" X: a\r\n"+length2, "{}")), failure, false},
		{"bare line feeds", say("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"), failure, false},
		{"one bare line feed", say(with200("X: a\n"+length2, "{}")), failure, false},
		{"a huge field", say(with200(length2+"X: "+strings.Repeat("x", 64<<10)+"\r\n", "{}")), failure, false},
		{"a huge header", say(with200(length2+strings.Repeat("X: y\r\n", 16<<10), "{}")), failure, false},
		{"a huge reason", say("HTTP/1.1 200 " + strings.Repeat("x", 64<<10) + "\r\n" + length2 + "\r\n{}"), failure, false},
		{"a truncated status line", thenClose("HTTP/1.1 200 OK"), failure, false},
		{"a truncated header", thenClose("HTTP/1.1 200 OK\r\n" + length2), failure, false},
		{"close among others", say(with200("Connection: x, CLOSE ,y\r\n"+length2, "{}")), delivered, false},
		{"close and keep-alive", say(with200("Connection: keep-alive\r\nConnection: close\r\n"+length2, "{}")), delivered, false},
	}
}

// lengthCases have bodies that do or do not match their Content-Length.
func lengthCases() []responseCase {
	huge := strings.Repeat("x", maxBodyBytes+1)
	return []responseCase{
		{"no length and the end", thenClose(with200("", "{}")), delivered, false},
		{"no length and no end", say(with200("", "{}")), failure, false},
		{"a negative length", say(with200("Content-Length: -2\r\n", "{}")), failure, false},
		{"a length with a plus", say(with200("Content-Length: +2\r\n", "{}")), failure, false},
		{"a length in hexadecimal", say(with200("Content-Length: 0x2\r\n", "{}")), failure, false},
		{"a length of nothing", say(with200("Content-Length:\r\n", "{}")), failure, false},
		{"a length with a fraction", say(with200("Content-Length: 2.0\r\n", "{}")), failure, false},
		{"a length of words", say(with200("Content-Length: two\r\n", "{}")), failure, false},
		{"a length over 2^64", say(with200("Content-Length: 18446744073709551618\r\n", "{}")), failure, false},
		{"a length between blanks", say(with200("Content-Length: \t 2 \t\r\n", "{}")), delivered, true},
		{"a length with zeros", say(with200("Content-Length: 0002\r\n", "{}")), delivered, true},
		{"the same length twice", say(with200(length2+length2, "{}")), delivered, false},
		{"two lengths", say(with200("Content-Length: 3\r\n"+length2, "{}")), failure, false},
		{"a list of lengths", say(with200("Content-Length: 2, 3\r\n", "{}")), failure, false},
		{"a length of more than comes", thenClose(with200("Content-Length: 9\r\n", "{}")), failure, false},
		{"a length of far more than comes", thenClose(with200("Content-Length: 999999999999\r\n", "{}")), failure, false},
		{"more than its length", say(with200(length2, "{}{}")), delivered, false},
		{"another response behind it", say(with200(length2, "{}") + status(422, "", "").parts[0]), delivered, false},
		{"an empty line behind it", say(with200(length2, "{}\r\n")), delivered, false},
		{"a huge body", status(200, "", huge), delivered, true},
		{"a huge body that is truncated", thenClose(with200("Content-Length: 1048577\r\n", huge[1:])), failure, false},
	}
}

// chunkCases have a Transfer-Encoding.
func chunkCases() []responseCase {
	huge := strings.Repeat("x", maxBodyBytes+1)
	return []responseCase{
		{"chunks", say(with200(chunked, "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")), delivered, true},
		{"chunks with extensions and a trailer", say(with200(chunked, "02 ;x=\"y\"\r\n{}\r\n0;z\r\nX: y\r\n\r\n")), delivered, true},
		{"a huge body in chunks", say(with200(chunked, chunk(huge)+"0\r\n\r\n")), delivered, true},
		{"chunks and a length", say(with200(chunked+length2, "2\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"a length and chunks", say(with200(length2+chunked, "{}")), failure, false},
		{"chunks in HTTP/1.0", say("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + chunked + "\r\n2\r\n{}\r\n0\r\n\r\n"), failure, false},
		{"chunked twice", say(with200("Transfer-Encoding: chunked, chunked\r\n", "2\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"two lines of chunked", say(with200(chunked+chunked, "2\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"gzip and chunked", say(with200("Transfer-Encoding: gzip, chunked\r\n", "2\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"identity", thenClose(with200("Transfer-Encoding: identity\r\n", "{}")), failure, false},
		{"identity and a length", say(with200("Transfer-Encoding: identity\r\n"+length2, "{}")), failure, false},
		{"xchunked", say(with200("Transfer-Encoding: xchunked\r\n", "2\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"chunks without a last one", thenClose(with200(chunked, "2\r\n{}\r\n")), failure, false},
		{"chunks without an end", thenClose(with200(chunked, "2\r\n{}\r\n0\r\n")), failure, false},
		{"a truncated chunk", thenClose(with200(chunked, "9\r\n{}")), failure, false},
		{"a chunk that is too long", say(with200(chunked, "2\r\n{}}\r\n0\r\n\r\n")), failure, false},
		{"a chunk of no number", say(with200(chunked, "x\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"a chunk of nothing", say(with200(chunked, "\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"a negative chunk", say(with200(chunked, "-2\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"a chunk of 0x2", say(with200(chunked, "0x2\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"a chunk over 2^64", say(with200(chunked, "10000000000000002\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"a zero in the extension of a chunk", say(with200(chunked, "2;\x00\r\n{}\r\n0\r\n\r\n")), failure, false},
		{"a blank behind a chunk's size", say(with200(chunked, "2 \r\n{}\r\n0\r\n\r\n")), failure, false},
		{"chunks between bare line feeds", say(with200(chunked, "2\n{}\n0\n\n")), failure, false},
		{"a folded trailer", say(with200(chunked, "0\r\nX: a\r\n b\r\n\r\n")), delivered, true},
		{"a folded first trailer", say(with200(chunked, "0\r\n X: a\r\n\r\n")), failure, false},
		{"a zero in a folded trailer", say(with200(chunked, "0\r\nX: a\r\n \x00\r\n\r\n")), failure, false},
		{"a trailer of garbage", say(with200(chunked, "0\r\ngarbage\r\n\r\n")), failure, false},
		{"a huge trailer", say(with200(chunked, "0\r\n"+strings.Repeat("X: y\r\n", 16<<10)+"\r\n")), failure, false},
		{"another response behind chunks", say(with200(chunked, "0\r\n\r\n") + ok.parts[0]), delivered, false},
	}
}

// bodylessCases have statuses without a body.
func bodylessCases() []responseCase {
	return []responseCase{
		{"204 with a body", say("HTTP/1.1 204 X\r\n" + length2 + "\r\n{}"), delivered, false},
		{"204 with a length", say("HTTP/1.1 204 X\r\n" + length2 + "\r\n"), delivered, false},
		{"204 with a length of 0", say("HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n"), delivered, true},
		{"204 in chunks", say("HTTP/1.1 204 X\r\n" + chunked + "\r\n0\r\n\r\n"), delivered, false},
		{"304 with a body", say("HTTP/1.1 304 X\r\n" + length2 + "\r\n{}"), failure, false},
	}
}

// otherStatusCases have statuses other than 2xx.
func otherStatusCases() []responseCase {
	return []responseCase{
		{"a truncated 422", thenClose("HTTP/1.1 422 X\r\nContent-Length: 9\r\n\r\n{}"), failure, false},
		{"422 of 2^64", say("HTTP/1.1 422 X\r\nContent-Length: 18446744073709551616\r\n\r\n"), failure, false},
		{"422 with a body until the end", thenClose("HTTP/1.1 422 X\r\n\r\n{}"), sink.Rejected, false},
		{"422 in chunks", say("HTTP/1.1 422 X\r\n" + chunked + "\r\n2\r\n{}\r\n0\r\n\r\n"), sink.Rejected, true},
		{"500", status(500, "", "{}"), failure, true},
	}
}

// A response that is no delivery does not make an analyzer healthy either.
func TestProbeResponseConformance(t *testing.T) {
	for name, response := range map[string]reply{
		"status 000":  say("HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\n{}"),
		"status 099":  say("HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\n{}"),
		"status 600":  say("HTTP/1.1 600 OK\r\nContent-Length: 2\r\n\r\n{}"),
		"status 2xx":  say("HTTP/1.1 2xx OK\r\nContent-Length: 2\r\n\r\n{}"),
		"status 2000": say("HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}"),
		"no status":   say("HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\n{}"),
		"HTTP/2.0":    say("HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
		"truncated":   {parts: []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"}, cut: true},
		"a redirect":  status(301, "", ""),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				analyzer := newFakeAnalyzer(always(ok))
				analyzer.health = func() reply { return response }
				if got := start(t, testURL(t), analyzer.dial).probeOnce(t); got.Outcome == sink.Delivered {
					t.Error("the analyzer is healthy")
				}
			})
		})
	}
}
