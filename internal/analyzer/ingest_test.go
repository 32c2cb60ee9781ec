package analyzer

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/logstreamer/logstreamer/internal/packet"
)

func TestAPacketIsProcessed(t *testing.T) {
	a := started(t, func(c *Config) { c.ID = `an "odd" id` })

	got := post(t, a, packetJSON(`p\u002d1`, 5), "Content-Type", "Application/JSON; charset=utf-8")

	want := `{"status":"processed","packet_id":"p\u002d1","analyzer":"an \"odd\" id"}`
	if got.status != 200 || string(got.body) != want {
		t.Errorf("%d %s\nwant 200 %s", got.status, got.body, want)
	}
	if got.header.Get("Content-Type") != "application/json" {
		t.Errorf("content type %q", got.header.Get("Content-Type"))
	}
	stats := a.Stats()
	if stats.Packets != 1 || stats.Messages != 5 || stats.ByLevel["INFO"] != 3 || stats.ByLevel["ERROR"] != 2 {
		t.Errorf("counted %+v", stats)
	}
	if len(stats.ByService) != 3 || stats.ByService[0] != (ServiceCount{"service-0", 2}) {
		t.Errorf("services %+v", stats.ByService)
	}
}

// Dependencies.Processed is called once for each processed packet, and not for duplicates or
// refused packets.
func TestProcessedIsCalled(t *testing.T) {
	var got []string
	a := started(t, nil)
	a.processed = func(info packet.Info, body []byte) {
		got = append(got, fmt.Sprint(string(info.PacketID.Raw(body)), info.Messages))
	}
	post(t, a, packetJSON("p", 5))
	post(t, a, packetJSON("p", 5))
	post(t, a, "{}")
	post(t, a, packetJSON("q", 2)+"\n"+packetJSON("p", 5), "Content-Type", "application/x-ndjson")
	if fmt.Sprint(got) != "[p5 q2]" {
		t.Errorf("%v", got)
	}
}

func TestDuplicateIsDroppedAndReported(t *testing.T) {
	a := started(t, nil)
	post(t, a, packetJSON("p-1", 5))

	got := post(t, a, packetJSON("p-1", 5))

	if want := `{"status":"processed","packet_id":"p-1","duplicate":true,"analyzer":"analyzer-1"}`; got.status != 200 || string(got.body) != want {
		t.Errorf("%d %s\nwant 200 %s", got.status, got.body, want)
	}
	// The distributor's retry is a duplicate, alone and with the line break of NDJSON.
	if got := post(t, a, packetJSON("p-1", 5)+"\r\n"); got.json(t)["duplicate"] != true {
		t.Errorf("with a trailing line break: %s", got.body)
	}
	if stats := a.Stats(); stats.Packets != 1 || stats.Messages != 5 || stats.Duplicates != 2 || stats.IDConflicts != 0 {
		t.Errorf("counted %+v", stats)
	}
}

// A restarted emitter that counts from 1 again sends new packets.
func TestIDConflictIsProcessed(t *testing.T) {
	a := started(t, nil)
	post(t, a, packetJSON("p-1", 5))
	for _, other := range []string{packetJSON("p-1", 4), packetJSON(`p\u002d1`, 5)} { // ids are compared decoded
		if got := post(t, a, other); got.status != 200 || got.json(t)["duplicate"] != nil {
			t.Errorf("%d %s", got.status, got.body)
		}
		if got := post(t, a, other); got.status != 200 || got.json(t)["duplicate"] != true {
			t.Errorf("sent again: %d %s", got.status, got.body)
		}
	}
	if got := post(t, a, packetJSON("p-1", 5)+"\n"+packetJSON("p-1", 3), "Content-Type", "application/x-ndjson"); !strings.Contains(string(got.body), `"processed":1,"duplicates":1`) {
		t.Errorf("%d %s", got.status, got.body)
	}
	if stats := a.Stats(); stats.Packets != 4 || stats.Messages != 17 || stats.Duplicates != 3 || stats.IDConflicts != 3 {
		t.Errorf("counted %+v", stats)
	}
	if metrics := string(send(t, a, "GET", "/metrics", http.NoBody).body); !strings.Contains(metrics, "\nanalyzer_id_conflicts_total 3\n") {
		t.Error("the metric analyzer_id_conflicts_total is not 3")
	}
}

func TestNDJSONAndContentEncodings(t *testing.T) {
	lines := packetJSON("p-1", 2) + "\n\n" + packetJSON("p-2", 3) + "\r\n" + packetJSON("p-1", 2)
	for name, body := range map[string]string{"identity": lines, "gzip": gzipped(t, lines), "zstd": zstandard(t, lines)} {
		t.Run(name, func(t *testing.T) {
			a := started(t, nil)
			for _, want := range []string{
				`{"status":"processed","processed":2,"duplicates":1,"analyzer":"analyzer-1"}`,
				`{"status":"processed","processed":0,"duplicates":3,"analyzer":"analyzer-1"}`,
			} {
				got := post(t, a, body, "Content-Type", "application/x-ndjson", "Content-Encoding", name)
				if got.status != 200 || string(got.body) != want {
					t.Errorf("%d %s\nwant 200 %s", got.status, got.body, want)
				}
			}
			if stats := a.Stats(); stats.Packets != 2 || stats.Messages != 5 || stats.Duplicates != 4 {
				t.Errorf("counted %+v", stats)
			}
		})
	}
}

func TestRefusedLineDoesNotAffectOthers(t *testing.T) {
	a := started(t, nil)
	body := packetJSON("p-1", 1) + "\n{\"packet_id\":\"b\\u0022\",\"emitter_id\":7}\n\x00\n" + packetJSON("p-2", testMessages+1) + "\n" + packetJSON("p-1", 1)

	got := post(t, a, body, "Content-Type", "application/x-ndjson")

	document := got.json(t)
	if got.status != 207 || document["status"] != "partial" || document["accepted"] != 2.0 || document["duplicates"] != 1.0 || document["analyzer"] != "analyzer-1" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	var refused []string
	for _, entry := range document["refused"].([]any) {
		e := entry.(map[string]any)
		refused = append(refused, fmt.Sprint(e["line"], " ", e["packet_id"], " ", e["code"]))
		if e["detail"] == "" {
			t.Errorf("line %v has no detail", e["line"])
		}
	}
	if want := `[2 b" invalid_packet 3 <nil> malformed 4 p-2 too_large]`; fmt.Sprint(refused) != want {
		t.Errorf("refused %v, want %s", refused, want)
	}
	if r := a.Stats().Refused; r["malformed"] != 1 || r["invalid_packet"] != 1 || r["too_large"] != 1 {
		t.Errorf("counted %v", r)
	}
}

type refusalCase struct {
	body   string
	header []string
	status int
	code   string // "" if the body is accepted
}

func refusalCases(t *testing.T) map[string]refusalCase {
	large := strings.Repeat("x", testBodyBytes+1)
	huge := strings.Repeat(large, 128) // exceeds the socket buffers
	zipped := gzipped(t, packetJSON("p", 5))
	ndjson := []string{"Content-Type", "application/x-ndjson"}
	return map[string]refusalCase{
		"nothing":             {"", nil, 400, "malformed"},
		"cut off":             {packetJSON("p", 5)[:200], nil, 400, "malformed"},
		"binary":              {"\x00\x01\xff\xfe", nil, 400, "malformed"},
		"two packets":         {packetJSON("p", 1) + packetJSON("q", 1), nil, 400, "malformed"},
		"deep":                {`{"x":` + strings.Repeat("[", 20000), nil, 400, "invalid_packet"},
		"wrong type":          {`{"packet_id":"p","emitter_id":"e","messages":{}}`, nil, 400, "invalid_packet"},
		"no messages":         {`{"packet_id":"p","emitter_id":"e","messages":[]}`, nil, 400, "invalid_packet"},
		"too many messages":   {packetJSON("p", testMessages+1), nil, 413, "too_large"},
		"large":               {large, nil, 413, "too_large"},
		"huge":                {huge, nil, 413, "too_large"},
		"gzip bomb":           {gzipped(t, strings.Repeat(large, 100)), []string{"Content-Encoding", "gzip"}, 413, "too_large"},
		"zstd bomb":           {zstandard(t, strings.Repeat(large, 100)), []string{"Content-Encoding", "zstd"}, 413, "too_large"},
		"gzip cut off":        {zipped[:len(zipped)-9], []string{"Content-Encoding", "gzip"}, 400, "malformed"},
		"zstd cut off":        {zstandard(t, packetJSON("p", 5))[:40], []string{"Content-Encoding", "zstd"}, 400, "malformed"},
		"not gzip":            {packetJSON("p", 5), []string{"Content-Encoding", "gzip"}, 400, "malformed"},
		"not zstd":            {packetJSON("p", 5), []string{"Content-Encoding", "zstd"}, 400, "malformed"},
		"unknown encoding":    {packetJSON("p", 5), []string{"Content-Encoding", "br"}, 415, "unsupported_encoding"},
		"twice encoded":       {gzipped(t, zipped), []string{"Content-Encoding", "gzip, gzip"}, 415, "unsupported_encoding"},
		"form":                {packetJSON("p", 5), []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"},
		"multipart":           {"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nno end", []string{"Content-Type", "multipart/form-data; boundary=x"}, 415, "unsupported_media_type"},
		"no lines":            {"\n \r\n\n", ndjson, 400, "malformed"},
		"too many lines":      {strings.Repeat("\n", maxLines+1), ndjson, 413, "too_large"},
		"packet in two lines": {strings.Replace(packetJSON("p", 1), ",", ",\n", 1), nil, 200, ""},
	}
}

func TestRefusals(t *testing.T) {
	a := started(t, nil)
	for name, c := range refusalCases(t) {
		t.Run(name, func(t *testing.T) {
			before := a.Stats().Refused[c.code]
			got := post(t, a, c.body, c.header...)
			if got.status != c.status {
				t.Fatalf("%d %s, want %d", got.status, got.body, c.status)
			}
			if c.code == "" {
				return
			}
			if contentType := got.header.Get("Content-Type"); contentType != "application/problem+json" {
				t.Errorf("content type %q", contentType)
			}
			if document := got.json(t); document["code"] != c.code || document["detail"] == nil || document["status"] != float64(c.status) {
				t.Errorf("the problem is %s, want the code %s", got.body, c.code)
			}
			if counted := a.Stats().Refused[c.code] - before; counted != 1 {
				t.Errorf("counted %d refusals", counted)
			}
		})
	}
}

func TestRefusalNamesPacketAndPosition(t *testing.T) {
	a := started(t, nil)
	body := `{"packet_id":"p-9","emitter_id":"e","messages":[{"timestamp":1,"level":"","message":"m"}]}`

	document := post(t, a, body).json(t)

	if document["packet_id"] != "p-9" || !strings.Contains(document["detail"].(string), "messages[0].level") {
		t.Errorf("the problem is %v", document)
	}
}

func TestABodyOfUnknownLengthIsBounded(t *testing.T) {
	a := started(t, nil)
	body := io.MultiReader(strings.NewReader(strings.Repeat(" ", testBodyBytes)), strings.NewReader(packetJSON("p", 1)))

	got := send(t, a, "POST", "/ingest", body)

	if got.status != 413 {
		t.Errorf("%d %s, want 413", got.status, got.body)
	}
}

func TestCountersAddUpUnderParallelSenders(t *testing.T) {
	const senders, packets = 8, 60
	a := started(t, nil)
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for p := range packets {
				id := fmt.Sprintf("p-%d-%d", sender/2, p) // each packet is sent by two senders
				body, header := packetJSON(id, 1+p%7), []string(nil)
				if p%3 == 0 {
					body, header = body+"\nbroken\n", []string{"Content-Type", "application/x-ndjson"}
				}
				if got := post(t, a, body, header...); got.status/100 != 2 {
					t.Errorf("%d %s", got.status, got.body)
				}
			}
		})
	}
	sending.Wait()
	wantMessages := int64(0)
	for p := range packets {
		wantMessages += senders / 2 * int64(1+p%7)
	}
	stats := a.Stats()
	if stats.Packets != senders/2*packets || stats.Duplicates != senders/2*packets || stats.Messages != wantMessages {
		t.Errorf("counted %+v, want %d packets and %d messages", stats, senders/2*packets, wantMessages)
	}
	levels, services := int64(0), int64(0)
	for _, count := range stats.ByLevel {
		levels += count
	}
	for _, service := range stats.ByService {
		services += service.Messages
	}
	if levels != wantMessages || services != wantMessages || stats.Refused["malformed"] != senders*packets/3 {
		t.Errorf("%d by level, %d by service of %d messages; refused %v", levels, services, wantMessages, stats.Refused)
	}
}

func TestServicesAreBounded(t *testing.T) {
	counters := newCounters()
	counters.observe([]message{{}, {service: []byte(strings.Repeat("s", maxServiceNameBytes+1))}})
	for i := range 2 * maxServices {
		counters.observe([]message{{service: fmt.Appendf(nil, "service-%d", i)}})
	}
	counters.observe([]message{{service: []byte("service-0")}})

	counts := make(map[string]int64)
	for _, s := range counters.services() {
		counts[s.Service] = s.Messages
	}
	if len(counts) != maxServices+2 || counts["none"] != 1 || counts["other"] != maxServices+1 || counts["service-0"] != 2 {
		t.Errorf("%d services: %v", len(counts), counts)
	}
}

func TestHTTPMethodsAndPaths(t *testing.T) {
	a := started(t, nil)
	for _, c := range []struct {
		method, path string
		status       int
		allow, code  string
	}{
		{"GET", "/ingest", 405, "POST", "method_not_allowed"},
		{"PUT", "/ingest", 405, "POST", "method_not_allowed"},
		{"POST", "/health", 405, "GET, HEAD", "method_not_allowed"},
		{"DELETE", "/stats", 405, "GET, HEAD", "method_not_allowed"},
		{"POST", "/metrics", 405, "GET, HEAD", "method_not_allowed"},
		{"GET", "/", 404, "", "not_found"},
		{"POST", "/ingest/", 404, "", "not_found"},
		{"GET", "/health", 200, "", ""},
		{"HEAD", "/health", 200, "", ""},
		{"GET", "/stats", 200, "", ""},
		{"GET", "/metrics", 200, "", ""},
	} {
		got := send(t, a, c.method, c.path, http.NoBody)
		if got.status != c.status || got.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", c.method, c.path, got.status, got.header.Get("Allow"), c.status, c.allow)
		}
		if c.code != "" && got.json(t)["code"] != c.code {
			t.Errorf("%s %s: %s, want the code %s", c.method, c.path, got.body, c.code)
		}
	}
	for code, count := range a.Stats().Refused {
		if count != 0 {
			t.Errorf("%d packets counted as %s", count, code)
		}
	}
}
