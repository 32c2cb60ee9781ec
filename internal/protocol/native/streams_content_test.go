package native

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

func contentCases() []streamCase { return slices.Concat(typeCases(), encodingCases()) }

func typeCases() []streamCase {
	const source = "RFC 9110 section 8.3"
	two := aPacket("a", 0) + "\n" + aPacket("b", 0)
	var cases []streamCase
	for _, value := range []string{
		"application/x-ndjson", "Application/X-NDJSON", "application/x-ndjson; charset=utf-8", "application/x-ndjson;charset=utf-8", "application/x-ndjson ;x", "application/x-ndjson;", "\tapplication/x-ndjson\t",
	} {
		c := taken(fmt.Sprintf("lines of type %q", value), source, post(two, "Content-Type:"+value), "a", "b")
		c.statuses = []int{202}
		cases = append(cases, c)
	}
	for _, value := range []string{
		"", "application/json", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded", "*/*", "x", "application/x-ndjsonx", "application/x-ndjso", "application/x-ndjson/x", "xapplication/x-ndjson",
		"application/x-ndjson, application/json", "application/json; x=application/x-ndjson", "\"application/x-ndjson\"", "application / x-ndjson", "application/ndjson", "application/jsonl", "\xff",
	} {
		name := fmt.Sprintf("a packet of type %q", value)
		cases = append(cases,
			taken(name, source+", Http11Probe", posting("a", "Content-Type:"+value), "a"),
			refusedAs("lines as "+name, source, post(two, "Content-Type: "+value), 400, "malformed", false))
	}
	same := taken("two equal types", source, post(two, linesType, linesType), "a", "b")
	same.statuses = []int{202}
	chunks := taken("lines in chunks", source, chunked(two, 50, linesType), "a", "b")
	chunks.statuses = []int{202}
	return append(cases, same, chunks,
		malformed("two types", "Http11Probe", post(two, linesType, jsonType)),
		malformed("two types the other way round", "Http11Probe", posting("a", jsonType, linesType)),
		malformed("two types in other case", source, posting("a", jsonType, "content-type: Application/JSON")),
		malformed("two types, one empty", source, posting("a", "Content-Type:", jsonType)),
	)
}

func encodingCases() []streamCase {
	const source = "RFC 9110 section 8.4"
	var cases []streamCase
	for _, lines := range [][]string{
		{"Content-Encoding:"}, {"Content-Encoding: identity"}, {"Content-Encoding: IDENTITY"}, {"Content-Encoding: ,"}, {"Content-Encoding: identity, identity"}, {"Content-Encoding: , identity,,"}, {"Content-Encoding:", "Content-Encoding: identity"},
	} {
		cases = append(cases, brief(taken(fmt.Sprintf("plain with %q", lines), source, posting("a", lines...), "a")))
	}
	packed := gzipped(aPacket("a", 0))
	for _, lines := range [][]string{
		{"Content-Encoding: gzip"}, {"content-encoding: GZIP"}, {"Content-Encoding: x-gzip"}, {"Content-Encoding: gzip, identity"}, {"Content-Encoding: identity", "Content-Encoding: gzip"}, {"Content-Encoding: ,gzip,"}, {"Content-Encoding:", "Content-Encoding: gzip"},
	} {
		cases = append(cases, brief(taken(fmt.Sprintf("gzip with %q", lines), source, post(packed, lines...), "a")))
	}
	for _, lines := range [][]string{
		{"Content-Encoding: br"}, {"Content-Encoding: deflate"}, {"Content-Encoding: x"}, {"Content-Encoding: *"}, {"Content-Encoding: gzip, gzip"}, {"Content-Encoding: gzip", "Content-Encoding: gzip"}, {"Content-Encoding: gzip", "Content-Encoding: zstd"},
		{"Content-Encoding: identity, br"}, {"Content-Encoding: gzip, br"}, {"Content-Encoding: gzip;q=1"}, {`Content-Encoding: "gzip"`}, {"Content-Encoding: gzip x"}, {"Content-Encoding: aws-chunked"}, {"Content-Encoding: chunked"},
	} {
		cases = append(cases, brief(refusedAs(fmt.Sprintf("gzip with %q", lines), source, post(packed, lines...), 415, "unsupported_encoding", false)))
	}
	return append(cases,
		refusedAs("gzip without a coding", source, post(packed), 400, "malformed", false),
		refusedAs("no gzip", source, posting("a", "Content-Encoding: gzip"), 400, "malformed", false),
		refusedAs("gzip that is cut", source, post(packed[:len(packed)-1], "Content-Encoding: gzip"), 400, "malformed", false),
		taken("gzip in chunks", source, chunked(packed, 7, "Content-Encoding: gzip"), "a"),
		refusedAs("gzip of too much", source, post(gzipped(strings.Repeat(" ", 300<<10)), "Content-Encoding: gzip"), 413, "too_large", false),
	)
}

// gzipped compresses a text.
func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.String()
}
