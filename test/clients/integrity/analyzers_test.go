package integrity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
)

// backend is an analyzer that checks the packets that it receives.
type backend struct {
	*testing.T
	ledger *ledger
	ndjson bool // in requests of several packets
	// rejects means that some packets are rejected for good.
	rejects  bool
	response string
	fail     func(http.ResponseWriter, *http.Request) (failed bool) // nil: never
}

// analyzers starts analyzers of all kinds, and returns them in the form of ANALYZERS.
func analyzers(t *testing.T, l *ledger, rejects bool) string {
	t.Helper()
	var listed []string
	for scheme, all := range map[string][]*backend{
		"http":            {{ndjson: true}, {}, {ndjson: true, fail: slow}, {fail: slow}, {ndjson: true, fail: reset}, {ndjson: true, fail: busy}, {ndjson: true, fail: odd}, {fail: odd}},
		"es+http":         {{response: `{"errors":false}`, fail: slow}},
		"otlp+http":       {{fail: reset}, {}},
		"loki+http":       {{fail: busy}},
		"hec+http":        {{response: `{"text":"Success","code":0}`, fail: slow}},
		"vlogs+http":      {{fail: reset}},
		"clickhouse+http": {{fail: slow}},
	} {
		for n, b := range all {
			b.T, b.ledger, b.rejects = t, l, rejects
			server := httptest.NewServer(b)
			t.Cleanup(server.Close)
			options := ""
			if n == 0 && scheme != "http" && scheme != "loki+http" {
				options = "?gzip=on"
			}
			listed = append(listed, strings.Replace(server.URL, "http", scheme, 1)+options)
		}
	}
	for n := range listed {
		listed[n] += fmt.Sprintf("=%.4f", 1/float64(len(listed)))
	}
	return strings.Join(listed, ",")
}

// ServeHTTP implements http.Handler.
func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.ndjson {
		w.Header().Set("Accept-Post", "application/x-ndjson")
	}
	if r.ContentLength == 0 { // a probe
		_, _ = io.WriteString(w, b.response)
		return
	}
	failed := b.fail != nil && rand.IntN(50) == 0 && b.fail(w, r)
	body, err := io.ReadAll(r.Body)
	text, encoded := decoded(r, body)
	if err != nil && encoded { // only a whole text can be decoded
		return
	}
	accepted := err == nil && !failed
	refused := []any{}
	if strings.HasSuffix(r.URL.Path, "/ingest") {
		for n, line := range lines(text, r) {
			ids := b.ledger.tokens(line, err != nil, b.emitterOf(line, err != nil))
			if accepted && b.ndjson && r.Header.Get("Idempotency-Key") == "" && rand.IntN(100) == 0 {
				code := "overloaded"
				if b.rejects && rand.IntN(2) == 0 {
					code = "invalid_packet"
				}
				refused = append(refused, map[string]any{"line": n + 1, "code": code})
				continue
			}
			if accepted && b.rejects && r.Header.Get("Idempotency-Key") != "" && rand.IntN(100) == 0 {
				w.WriteHeader(http.StatusUnprocessableEntity)
				return
			}
			b.arrived(accepted, ids)
		}
	} else {
		b.arrived(accepted, b.ledger.tokens(text, err != nil, ""))
	}
	switch {
	case failed:
	case len(refused) > 0:
		w.WriteHeader(http.StatusMultiStatus)
		_ = json.NewEncoder(w).Encode(map[string]any{"refused": refused})
	default:
		_, _ = io.WriteString(w, b.response)
	}
}

func (b *backend) arrived(accepted bool, ids [][2]int) {
	for _, id := range ids {
		if accepted {
			b.ledger.arrived(id)
		}
	}
}

// emitterOf returns the emitter_id of a packet, or "" if the packet is truncated.
func (b *backend) emitterOf(line []byte, cut bool) string {
	var p struct {
		EmitterID string `json:"emitter_id"`
		Messages  []any  `json:"messages"`
	}
	if err := json.Unmarshal(line, &p); err != nil && !cut {
		b.Errorf("a packet is no JSON: %v: %.300q", err, line)
	}
	return p.EmitterID
}

// lines returns the packets of a request.
func lines(text []byte, r *http.Request) [][]byte {
	if r.Header.Get("Content-Type") != "application/x-ndjson" {
		return [][]byte{text}
	}
	return bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
}

// decoded returns the decoded body, and whether it has a coding.
func decoded(r *http.Request, body []byte) (text []byte, encoded bool) {
	switch {
	case r.Header.Get("Content-Encoding") == "gzip":
		reader, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			text, err = io.ReadAll(reader)
		}
		if err != nil {
			text = []byte(beginMark) // which has no end
		}
		return text, true
	case strings.HasPrefix(r.URL.Path, "/loki"):
		text, err := snappy.Decode(nil, body)
		if err != nil {
			text = []byte(beginMark)
		}
		return text, true
	}
	return body, false
}

// slow reads the body late, which may be after the distributor's timeout.
func slow(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.CopyN(io.Discard, io.LimitReader(r.Body, 0), 0)
	time.Sleep(time.Duration(rand.IntN(800)) * time.Millisecond)
	return false
}

// reset ends the connection before the body is read.
func reset(w http.ResponseWriter, _ *http.Request) bool {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	return true
}

// odd responds in one of the ways that are allowed and rare, or closes the connection.
func odd(w http.ResponseWriter, r *http.Request) bool {
	switch rand.IntN(4) {
	case 0: // before the response
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		return false
	case 1: // before the body was read
		w.WriteHeader(http.StatusInternalServerError)
		_ = http.NewResponseController(w).Flush()
	case 2: // within the body
		_, _ = io.CopyN(io.Discard, r.Body, rand.Int64N(max(r.ContentLength, 1)))
		reset(w, r)
	case 3: // within the response
		w.Header().Set("Content-Length", "100")
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "{")
	}
	panic(http.ErrAbortHandler) // which ends the connection
}

func busy(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Retry-After", "0")
	w.WriteHeader([]int{http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInternalServerError}[rand.IntN(3)])
	return true
}
