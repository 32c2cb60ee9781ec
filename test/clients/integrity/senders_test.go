package integrity

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// senders returns functions that send one request, by protocol.
func senders() map[string]func(*source) {
	return map[string]func(*source){
		"native": sendPacket, "limited": sendPacket, "lines": sendLines, "bulk": sendBulk, "documents": sendDocument,
		"otlp-proto": sendOTLP, "otlp-json": sendOTLPJSON, "otlp-grpc": sendGRPC,
		"loki-proto": sendLoki, "loki-json": sendLokiJSON, "hec": sendHEC, "gelf": sendGELF, "datadog": sendDatadog,
		"forward": sendForward, "syslog": sendSyslog, "syslog-udp": sendSyslogUDP, "gelf-udp": sendGELFUDP, "bad": sendBad,
	}
}

// client has the connections of a source.
type client struct {
	http http.Client
	conn net.Conn
}

const maxMessageBytes = 20_000

// request is a request over HTTP.
type request struct {
	method, path, contentType string
	body                      []byte
	coded                     bool // its body must not be encoded further
}

// send sends a request in one of several ways, and returns the status 0 if the connection ended.
func (s *source) send(r request) (status int, text []byte) {
	header := make(http.Header)
	header.Set("Content-Type", r.contentType)
	if !r.coded && rand.IntN(4) == 0 {
		coding := []string{"gzip", "zstd"}[rand.IntN(2)]
		r.body = encode(coding, r.body)
		header.Set("Content-Encoding", coding)
	}
	var body io.Reader = bytes.NewReader(r.body)
	if rand.IntN(3) == 0 {
		body = &chunks{r.body}
	}
	if r.method == "" {
		r.method = http.MethodPost
	}
	sent, err := http.NewRequest(r.method, s.URL+r.path, body)
	if err != nil {
		s.Error(err)
		return 0, nil
	}
	sent.Header = header
	if s.client.http.Transport == nil {
		s.client.http = http.Client{Transport: &http.Transport{}, Timeout: time.Minute}
		s.Cleanup(s.client.http.CloseIdleConnections)
	}
	response, err := s.client.http.Do(sent)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	if text, err = io.ReadAll(response.Body); err != nil {
		s.Errorf("%s: the response cannot be read: %v", r.path, err)
	}
	return response.StatusCode, text
}

// chunks is a body that is read in pieces.
type chunks struct{ rest []byte }

// Read implements io.Reader.
func (c *chunks) Read(dst []byte) (n int, err error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n = copy(dst, c.rest[:1+rand.IntN(len(c.rest))])
	c.rest = c.rest[n:]
	if rand.IntN(4) == 0 {
		time.Sleep(time.Millisecond) // so that it comes in several segments
	}
	return n, nil
}

func encode(coding string, text []byte) []byte {
	var to bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&to)
	if coding == "zstd" {
		w, _ = zstd.NewWriter(&to)
	}
	_, _ = w.Write(text) // a bytes.Buffer never fails
	_ = w.Close()
	return to.Bytes()
}

// quoted returns a value as JSON.
func quoted(value any) string {
	text, _ := json.Marshal(value) // texts and maps of them
	return string(text)
}

// packet returns messages as a packet.
func (s *source) packet(messages []message) string {
	var all []any
	for _, m := range messages {
		all = append(all, map[string]any{"timestamp": time.Now().UnixMilli(), "level": "INFO", "message": m.text, "metadata": map[string]string{"a": "b"}})
	}
	return quoted(map[string]any{"emitter_id": s.name, "packet_id": fmt.Sprintf("%d-%d", s.number, messages[0].number), "messages": all})
}

// check notes that messages are accepted if a status says so, and otherwise fails the test unless
// the request may be refused.
func (s *source) check(status int, response []byte, messages []message) {
	switch {
	case status >= 200 && status < 300:
		s.accepted(messages...)
	case status != 0 && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable:
		s.Errorf("%s: %d %.300s", s.name, status, response)
	}
}

func sendPacket(s *source) {
	m := s.messages(5, maxMessageBytes)
	path := "/ingest"
	if rand.IntN(50) == 0 {
		path += "?ack=delivered"
	}
	status, response := s.send(request{path: path, contentType: "application/json", body: []byte(s.packet(m))})
	switch status {
	case http.StatusGatewayTimeout: // accepted; the delivery is not known
		status = http.StatusOK
	case http.StatusUnprocessableEntity: // a dead letter
		s.accepted(m...)
		return
	}
	if status == http.StatusOK || status == http.StatusAccepted {
		if id := fmt.Sprintf(`"%d-%d"`, s.number, m[0].number); !bytes.Contains(response, []byte(id)) {
			s.Errorf("the response to the packet %s is %s", id, response)
		}
	}
	s.check(status, response, m)
}

func sendLines(s *source) {
	var packets [][]message
	var body strings.Builder
	for range 1 + rand.IntN(20) {
		m := s.messages(3, maxMessageBytes/4)
		packets = append(packets, m)
		line := s.packet(m)
		if rand.IntN(20) == 0 {
			line = line[:rand.IntN(len(line))]
		}
		body.WriteString(line + "\n")
	}
	status, response := s.send(request{path: "/ingest", contentType: "application/x-ndjson", body: []byte(body.String())})
	var result struct{ Refused []struct{ Line int } }
	if status == http.StatusMultiStatus {
		if err := json.Unmarshal(response, &result); err != nil {
			s.Errorf("%v: %s", err, response)
		}
	} else if status == http.StatusBadRequest { // all lines
		return
	}
	refused := make(map[int]bool)
	for _, one := range result.Refused {
		refused[one.Line] = true
	}
	number := 0
	for _, line := range strings.Split(strings.TrimSuffix(body.String(), "\n"), "\n") {
		if number++; !refused[number] && line != "" {
			s.check(status, response, packets[number-1])
		}
	}
}

func sendBulk(s *source) {
	m := s.messages(30, maxMessageBytes/4)
	var body strings.Builder
	for _, one := range m {
		fmt.Fprintf(&body, "{\"create\":{\"_index\":\"logs\"}}\n%s\n", quoted(map[string]any{"@timestamp": time.Now(), "message": one.text, "service.name": s.name}))
	}
	status, response := s.send(request{path: "/_bulk", contentType: "application/x-ndjson", body: []byte(body.String())})
	var result struct {
		Errors bool
		Items  []struct{ Create struct{ Status int } }
	}
	if status == http.StatusOK && (json.Unmarshal(response, &result) != nil || result.Errors || len(result.Items) != len(m)) {
		s.Errorf("the response to %d documents is %.300s", len(m), response)
	}
	s.check(status, response, m)
}

func sendDocument(s *source) {
	m := s.messages(1, maxMessageBytes)
	status, response := s.send(request{path: "/logs/_doc", contentType: "application/json", body: []byte(quoted(map[string]any{"message": m[0].text, "service.name": s.name}))})
	s.check(status, response, m)
}

// field returns a field of protobuf with a length.
func field(number int, content ...byte) []byte {
	return append(binary.AppendUvarint([]byte{byte(number<<3 | 2)}, uint64(len(content))), content...)
}

func (s *source) otlp(messages []message) []byte {
	attribute := append(field(1, []byte("service.name")...), field(2, field(1, []byte(s.name)...)...)...)
	var records []byte
	for _, m := range messages {
		record := binary.LittleEndian.AppendUint64([]byte{1<<3 | 1}, uint64(time.Now().UnixNano()))
		records = append(records, field(2, append(record, field(5, field(1, []byte(m.text)...)...)...)...)...)
	}
	return field(1, append(field(1, field(1, attribute...)...), field(2, records...)...)...)
}

func sendOTLP(s *source) {
	m := s.messages(30, maxMessageBytes/4)
	body := s.otlp(m)
	for range rand.IntN(3) { // a resource is a packet
		more := s.messages(30, maxMessageBytes/4)
		body, m = append(body, s.otlp(more)...), append(m, more...)
	}
	status, response := s.send(request{path: "/v1/logs", contentType: "application/x-protobuf", body: body})
	s.check(status, response, m)
}

func sendOTLPJSON(s *source) {
	m := s.messages(20, maxMessageBytes/4)
	var records []any
	for _, one := range m {
		records = append(records, map[string]any{"timeUnixNano": fmt.Sprint(time.Now().UnixNano()), "body": map[string]string{"stringValue": one.text}})
	}
	attributes := []any{map[string]any{"key": "service.name", "value": map[string]string{"stringValue": s.name}}}
	body := quoted(map[string]any{"resourceLogs": []any{map[string]any{"resource": map[string]any{"attributes": attributes}, "scopeLogs": []any{map[string]any{"logRecords": records}}}}})
	status, response := s.send(request{path: "/v1/logs", contentType: "application/json", body: []byte(body)})
	s.check(status, response, m)
}

func sendGRPC(s *source) {
	m := s.messages(30, maxMessageBytes/4)
	if s.client.http.Transport == nil {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		s.client.http = http.Client{Transport: &http.Transport{Protocols: &protocols}, Timeout: time.Minute}
		s.Cleanup(s.client.http.CloseIdleConnections)
	}
	body := s.otlp(m)
	r, err := http.NewRequest(http.MethodPost, "http://"+s.Addresses["otlp-grpc"]+"/opentelemetry.proto.collector.logs.v1.LogsService/Export",
		bytes.NewReader(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)))
	if err != nil {
		s.Error(err)
		return
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	response, err := s.client.http.Do(r)
	if err != nil {
		return
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if response.Trailer.Get("Grpc-Status") == "0" {
		s.accepted(m...)
	}
}

func sendLoki(s *source) {
	m := s.messages(30, maxMessageBytes/4)
	stream := field(1, fmt.Appendf(nil, "{service_name=%q}", s.name)...)
	for _, one := range m {
		at := binary.AppendUvarint([]byte{8}, uint64(time.Now().Unix()))
		stream = append(stream, field(2, append(field(1, at...), field(2, []byte(one.text)...)...)...)...)
	}
	status, response := s.send(request{path: "/loki/api/v1/push", contentType: "application/x-protobuf", coded: true, body: snappy.Encode(nil, field(1, stream...))})
	s.check(status, response, m)
}

func sendLokiJSON(s *source) {
	m := s.messages(30, maxMessageBytes/4)
	var values [][]string
	for _, one := range m {
		values = append(values, []string{fmt.Sprint(time.Now().UnixNano()), one.text})
	}
	body := quoted(map[string]any{"streams": []any{map[string]any{"stream": map[string]string{"service_name": s.name}, "values": values}}})
	status, response := s.send(request{path: "/loki/api/v1/push", contentType: "application/json", body: []byte(body)})
	s.check(status, response, m)
}

func sendHEC(s *source) {
	m := s.messages(20, maxMessageBytes/4)
	var body strings.Builder
	for _, one := range m {
		body.WriteString(quoted(map[string]any{"time": float64(time.Now().Unix()), "source": s.name, "event": one.text}))
	}
	status, response := s.send(request{path: "/services/collector", body: []byte(body.String())})
	s.check(status, response, m)
}

func gelf(s *source, m message) string {
	return quoted(map[string]any{"version": "1.1", "host": "h", "_service": s.name, "short_message": m.text, "timestamp": float64(time.Now().Unix())})
}

func sendGELF(s *source) {
	m := s.messages(1, maxMessageBytes)
	status, response := s.send(request{path: "/gelf", contentType: "application/json", body: []byte(gelf(s, m[0]))})
	s.check(status, response, m)
}

func sendDatadog(s *source) {
	m := s.messages(20, maxMessageBytes/4)
	var all []any
	for _, one := range m {
		all = append(all, map[string]any{"message": one.text, "service": s.name, "hostname": "h", "timestamp": time.Now().UnixMilli()})
	}
	status, response := s.send(request{path: "/api/v2/logs", contentType: "application/json", body: []byte(quoted(all))})
	s.check(status, response, m)
}

// sendBad sends requests that are refused.
func sendBad(s *source) {
	packet := []byte(s.packet(s.messages(5, maxMessageBytes)))
	request := request{path: "/ingest", contentType: "application/json", body: packet[:rand.IntN(len(packet))]}
	switch rand.IntN(6) {
	case 0:
		request.method = []string{http.MethodPut, http.MethodGet, http.MethodDelete}[rand.IntN(3)]
	case 1:
		request.body = append(packet, bytes.Repeat([]byte("x"), 11<<20)...)
	case 2:
		request.path = []string{"/v1/logs", "/loki/api/v1/push", "/_bulk", "/services/collector", "/gelf", "/api/v2/logs", "/nothing"}[rand.IntN(7)]
	case 3:
		request.body = bytes.Replace(packet, []byte("INFO"), []byte(`IN\u0007FO`+strings.Repeat("!", rand.IntN(300))), 1)
		request.body = bytes.Replace(request.body, []byte(`"timestamp"`), []byte(`"time`+strings.Repeat("~", 1+rand.IntN(50))+`stamp"`), 1)
	case 4:
		request.path += "?ack=" + strings.Repeat("never", rand.IntN(20))
		request.body = packet[:len(packet)-1]
	}
	if status, response := s.send(request); status >= 200 && status < 300 {
		s.Errorf("%s %s is accepted: %s", request.method, request.path, response)
	}
}

// stream writes to a connection of an input; it opens one if there is none.
func (s *source) stream(input string, text []byte) (ok bool) {
	if s.client.conn == nil {
		network := "tcp"
		if strings.HasSuffix(input, "-udp") {
			network = "udp"
		}
		conn, err := net.Dial(network, s.Addresses[input])
		if err != nil {
			if !s.ledger.operated {
				s.Error(err)
			}
			time.Sleep(10 * time.Millisecond)
			return false
		}
		s.client.conn = conn
		s.Cleanup(func() { _ = conn.Close() })
	}
	_ = s.client.conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := s.client.conn.Write(text); err != nil {
		s.client.conn = nil
		return false
	}
	return true
}

// str returns a text of MessagePack.
func str(text string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0xdb}, uint32(len(text))), text...)
}

// sendForward sends a chunk, and waits for its acknowledgement.
func sendForward(s *source) {
	m := s.messages(30, maxMessageBytes/4)
	var events []byte
	for _, one := range m {
		events = binary.BigEndian.AppendUint32(append(events, 0x92, 0xce), uint32(time.Now().Unix()))
		events = append(append(append(events, 0x81), str("log")...), str(one.text)...)
	}
	chunk := fmt.Sprintf("%d-%d", s.number, m[0].number)
	option := append(append([]byte{0x81}, str("chunk")...), str(chunk)...)
	if rand.IntN(2) == 0 {
		events = encode("gzip", events)
		option = append(append(option, str("compressed")...), str("gzip")...)
		option[0] = 0x82
	}
	text := append(append([]byte{0x93}, str(s.name)...), binary.BigEndian.AppendUint32([]byte{0xc6}, uint32(len(events)))...)
	if !s.stream("forward", append(append(text, events...), option...)) {
		return
	}
	response := make([]byte, 1+4+1+len(chunk)) // {"ack": chunk}
	if _, err := io.ReadFull(s.client.conn, response); err != nil {
		s.client.conn = nil
	} else if !bytes.HasSuffix(response, []byte(chunk)) {
		s.Errorf("the chunk %s is acknowledged with %q", chunk, response)
	} else {
		s.accepted(m...)
	}
}

func (s *source) syslog(m message) string {
	return fmt.Sprintf("<34>1 %s %s app 1 id - %s", time.Now().UTC().Format(time.RFC3339), s.name, m.text)
}

// Senders of streams and datagrams without acknowledgements do not know which messages are
// accepted.

func sendSyslog(s *source) {
	var text []byte
	for _, m := range s.messages(20, maxMessageBytes/4) {
		one := s.syslog(m)
		text = append(fmt.Appendf(text, "%d ", len(one)), one...)
	}
	s.stream("syslog-tcp", text)
	time.Sleep(time.Millisecond)
}

func sendSyslogUDP(s *source) {
	s.stream("syslog-udp", []byte(s.syslog(s.messages(1, 1000)[0])))
	time.Sleep(time.Millisecond)
}

func sendGELFUDP(s *source) {
	text := []byte(gelf(s, s.messages(1, 5000)[0]))
	if rand.IntN(2) == 0 {
		text = encode("gzip", text)
	}
	const size = 1000
	count := int(math.Ceil(float64(len(text)) / size))
	for n := range count {
		head := binary.BigEndian.AppendUint64([]byte{0x1e, 0x0f}, uint64(s.number)<<32|uint64(s.sent))
		s.stream("gelf-udp", append(append(head, byte(n), byte(count)), text[n*size:min(len(text), (n+1)*size)]...))
	}
	time.Sleep(time.Millisecond)
}
