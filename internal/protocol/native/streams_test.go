package native

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// streamCase has the bytes that a client sends on one connection, and the server's required
// behaviour.
type streamCase struct {
	name   string
	source string // the rule, or the public suite that has such a case
	bytes  string
	// cut means that the client half-closes the connection behind the bytes. Otherwise a
	// well-formed request follows.
	cut bool
	// statuses are the statuses of the responses, without interim responses.
	statuses []int
	// closed means that the server ends the connection after the last response.
	closed bool
	// code is the code of the last refusal, empty if there is none.
	code string
	// packets are the ids of the accepted packets, in order.
	packets []string
	// keepAlive means that the responses have "Connection: keep-alive".
	keepAlive bool
	// bodiless means that the responses have no body.
	bodiless bool
	// allow is the value of the field Allow.
	allow string
	// interims is the number of requests that get "100 Continue" if their body arrives after their
	// head was read.
	interims int
	// everyByte asks for a split at each byte.
	everyByte bool
	// brief asks for a split at one boundary, and one at all boundaries: the case is one of a
	// family whose members differ in one character.
	brief bool
	// authorization is a field line of the requests around the bytes, or empty.
	authorization string
}

// streamCases has all cases.
func streamCases() []streamCase {
	return slices.Concat(
		requestLineCases(), targetCases(), hostCases(), fieldCases(), headSizeCases(),
		lengthCases(), codingCases(), chunkCases(), chunkLineCases(), trailerCases(),
		connectionCases(), expectCases(), pipeliningCases(), smugglingCases(), contentCases(), methodCases(),
	)
}

// Names are unique, so that a failure can be found, and each case names its source.
func TestStreamCasesAreNamed(t *testing.T) {
	seen := make(map[string]bool)
	cases := streamCases()
	for _, c := range cases {
		if seen[c.name] || c.name == "" || c.source == "" {
			t.Errorf("the case %q from %q has no name or source, or not one of its own", c.name, c.source)
		}
		seen[c.name] = true
	}
	if len(cases) < 300 {
		t.Errorf("there are %d cases", len(cases))
	}
}

const headEnd = "\r\n\r\n"

// head makes the head of a request from lines.
func head(lines ...string) string { return strings.Join(lines, "\r\n") + headEnd }

// posting makes a request with a packet with that id and with these lines in its head.
func posting(id string, lines ...string) string {
	return postingAs("POST /ingest HTTP/1.1\r\nHost: t", id, lines...)
}

// postingAs makes a request with the given first lines of its head.
func postingAs(begin, id string, lines ...string) string {
	body := aPacket(id, 0)
	lines = append([]string{begin}, lines...)
	return head(append(lines, fmt.Sprintf("Content-Length: %d", len(body)))...) + body
}

// chunking makes a request with a packet with that id in two chunks and with these lines in its
// head.
func chunking(id string, lines ...string) string {
	body := aPacket(id, 0)
	return chunkHead(lines...) + chunk(body[:10]) + chunk(body[10:]) + lastChunk
}

func chunkHead(lines ...string) string {
	return head(append([]string{"POST /ingest HTTP/1.1", "Host: t", "Transfer-Encoding: chunked"}, lines...)...)
}

func chunk(text string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(text), text) }

const lastChunk = "0\r\n\r\n"

// taken is a case of requests that are all accepted, on a connection that stays open.
func taken(name, source, bytes string, packets ...string) streamCase {
	return streamCase{name: name, source: source, bytes: bytes, statuses: accepted(len(packets)), packets: packets}
}

// accepted returns the statuses of that many accepted packets.
func accepted(packets int) []int { return slices.Repeat([]int{202}, packets) }

// malformed is a case of one request that is answered with 400, and ends the connection.
func malformed(name, source, bytes string) streamCase {
	return streamCase{name: name, source: source, bytes: bytes, statuses: []int{400}, closed: true, code: "malformed"}
}

// cutOff is a case of a request that ends too early.
func cutOff(name, source, bytes string) streamCase {
	c := malformed(name, source, bytes)
	c.cut = true
	return c
}

// refusedAs is a case of one request that is refused.
func refusedAs(name, source, bytes string, status int, code string, closed bool) streamCase {
	return streamCase{name: name, source: source, bytes: bytes, statuses: []int{status}, code: code, closed: closed}
}

// splitEverywhere splits a case at each byte.
func splitEverywhere(c streamCase) streamCase {
	c.everyByte = true
	return c
}

// brief splits the case of a family at fewer boundaries.
func brief(c streamCase) streamCase {
	c.brief = true
	return c
}
