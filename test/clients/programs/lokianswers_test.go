package programs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/logstreamer/logstreamer/test/clients/harness"
)

// push is a push to Loki.
type push struct {
	name        string
	contentType string
	body        []byte
	coding      string
}

// field returns a field of a protobuf message.
func field(number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
}

// pushOf returns a push with a stream.
func pushOf(labels string, entries ...[]byte) []byte {
	stream := field(1, []byte(labels))
	for _, e := range entries {
		stream = append(stream, field(2, e)...)
	}
	return field(1, stream)
}

// entryOf returns an entry at a time in seconds; 0 is no time.
func entryOf(seconds int64, line string) []byte {
	var e []byte
	if seconds != 0 {
		e = field(1, protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(seconds)))
	}
	return append(e, field(2, []byte(line))...)
}

func gzipBody(text string) []byte {
	var to bytes.Buffer
	w := gzip.NewWriter(&to)
	_, _ = w.Write([]byte(text)) // a bytes.Buffer never fails
	_ = w.Close()
	return to.Bytes()
}

const (
	jsonType  = "application/json"
	protoType = "application/x-protobuf"
)

// jsonPushes returns pushes in JSON.
func jsonPushes(now time.Time) []push {
	ns := now.UnixNano()
	stream := func(labels, values string) string {
		return fmt.Sprintf(`{"streams":[{"stream":%s,"values":%s}]}`, labels, values)
	}
	value := fmt.Sprintf(`[["%d","m"]]`, ns)
	var all []push
	for name, body := range map[string]string{
		"usual":             stream(`{"a":"usual"}`, value),
		"two streams":       fmt.Sprintf(`{"streams":[{"stream":{"a":"two"},"values":%s},{"stream":{"a":"three"},"values":%s}]}`, value, value),
		"one is bad":        fmt.Sprintf(`{"streams":[{"stream":{"a":"good"},"values":%s},{"stream":{"a b":"bad"},"values":%s}]}`, value, value),
		"no streams":        `{"streams":[]}`,
		"no values":         stream(`{"a":"b"}`, `[]`),
		"without a line":    stream(`{"a":"none"}`, fmt.Sprintf(`[["%d",""]]`, ns)),
		"bad name":          stream(`{"a b":"c"}`, value),
		"no labels":         stream(`{}`, value),
		"label is a number": stream(`{"a":5}`, value),
		"line is a number":  stream(`{"a":"number"}`, fmt.Sprintf(`[["%d",5]]`, ns)),
		"time is a number":  stream(`{"a":"time"}`, fmt.Sprintf(`[[%d,"m"]]`, ns)),
		"time is a text":    stream(`{"a":"b"}`, `[["now","m"]]`),
		"negative time":     stream(`{"a":"b"}`, `[["-1","m"]]`),
		"no time":           stream(`{"a":"b"}`, `[["m"]]`),
		"empty value":       stream(`{"a":"b"}`, `[[]]`),
		"old":               stream(`{"a":"b"}`, fmt.Sprintf(`[["%d","m"]]`, now.AddDate(0, -1, 0).UnixNano())),
		"future":            stream(`{"a":"b"}`, fmt.Sprintf(`[["%d","m"]]`, now.AddDate(0, 1, 0).UnixNano())),
		"values is text":    stream(`{"a":"b"}`, `"m"`),
		"labels are text":   stream(`"{a=\"b\"}"`, value),
		"streams is object": `{"streams":{}}`,
		"array":             `[]`,
		"other object":      `{}`,
		"empty":             ``,
		"no JSON":           `hello`,
		"truncated":         stream(`{"a":"b"}`, value)[:40],
		"more behind":       stream(`{"a":"more"}`, value) + "x",
	} {
		all = append(all, push{name: "json/" + name, contentType: jsonType, body: []byte(body)})
	}
	usual := stream(`{"a":"coded"}`, value)
	return append(all,
		push{name: "json/gzip", contentType: jsonType, body: gzipBody(usual), coding: "gzip"},
		push{name: "json/not gzip", contentType: jsonType, body: []byte(usual), coding: "gzip"},
		push{name: "json/unknown coding", contentType: jsonType, body: []byte(usual), coding: "x"},
		push{name: "json/charset", contentType: jsonType + "; charset=utf-8", body: []byte(usual)},
		push{name: "json/text", contentType: "text/plain", body: []byte(usual)})
}

// protobufPushes returns pushes in protobuf.
func protobufPushes(now time.Time) []push {
	at := now.Unix()
	block := func(message []byte) []byte { return snappy.Encode(nil, message) }
	var framed bytes.Buffer
	w := snappy.NewBufferedWriter(&framed)
	_, _ = w.Write(pushOf(`{a="framed"}`, entryOf(at, "m"))) // a bytes.Buffer never fails
	_ = w.Close()
	var all []push
	for name, body := range map[string][]byte{
		"usual":        block(pushOf(`{a="p"}`, entryOf(at, "m"))),
		"plain":        pushOf(`{a="b"}`, entryOf(at, "m")),
		"framed":       framed.Bytes(),
		"garbage":      []byte("hello"),
		"empty":        nil,
		"no streams":   block(nil),
		"no entries":   block(pushOf(`{a="b"}`)),
		"no labels":    block(pushOf("", entryOf(at, "m"))),
		"empty labels": block(pushOf("{}", entryOf(at, "m"))),
		"bad labels":   block(pushOf(`{a="b"`, entryOf(at, "m"))),
		"no time":      block(pushOf(`{a="b"}`, entryOf(0, "m"))),
		"bad message":  block([]byte("\x0a\x7fx")),
	} {
		all = append(all, push{name: "protobuf/" + name, contentType: protoType, body: body})
	}
	return append(all, push{name: "protobuf/without a type", body: block(pushOf(`{a="untyped"}`, entryOf(at, "m")))})
}

// answer returns the status of a push to an address.
func answer(t *testing.T, address string, p push) int {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+address+"/loki/api/v1/push", bytes.NewReader(p.body))
	if err != nil {
		t.Fatal(err)
	}
	if p.contentType != "" {
		request.Header.Set("Content-Type", p.contentType)
	}
	if p.coding != "" {
		request.Header.Set("Content-Encoding", p.coding)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	t.Logf("%s at %s: %d %.150q", p.name, address, response.StatusCode, text)
	return response.StatusCode
}

// differing are the pushes that Loki 1.6 answers with another kind of status than the distributor, and both
// statuses. Most have records that the distributor keeps as they are, or are understood by newer versions of
// Loki; it refuses four in which Loki overlooks damage.
var differing = map[string][2]int{
	"json/old": {400, 204}, "json/future": {400, 204}, "protobuf/no time": {400, 204},
	"json/bad name": {400, 204}, "json/one is bad": {400, 204}, "json/no labels": {400, 204}, "protobuf/empty labels": {400, 204},
	"json/label is a number": {400, 204}, "json/line is a number": {400, 204}, "json/time is a number": {400, 204},
	"json/gzip": {400, 204}, "json/charset": {400, 204},
	"json/other object": {204, 400}, "json/more behind": {204, 400}, "json/not gzip": {204, 400}, "json/unknown coding": {204, 400},
	"json/empty value": {500, 400}, // a panic
}

// Clients do the same after the distributor's answer as after Loki's, except for the differences: they go on
// after 2xx, drop the push after 4xx, and send it again after 429 and 5xx.
func TestLokiAnswers(t *testing.T) {
	l := newLoki(t, "")
	l.run()
	d := harness.Start(t, []string{"loki"})
	now := time.Now()
	for _, p := range append(jsonPushes(now), protobufPushes(now)...) {
		got := [2]int{answer(t, l.address, p), answer(t, d.Addresses["loki"], p)}
		want, differs := differing[p.name]
		if differs && got != want || !differs && got[0] != got[1] {
			t.Errorf("%s: Loki answers %d and the distributor %d, want %d", p.name, got[0], got[1], want)
		}
	}
}
