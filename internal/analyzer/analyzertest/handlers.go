package analyzertest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/logstreamer/logstreamer/internal/packet"
)

const (
	maxBodyBytes = 64 << 20
	ndjson       = "application/x-ndjson"
)

func (a *Analyzer) serveHealth(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.probes++
	behaviour, singleOnly := a.health, a.singleOnly
	a.notify()
	a.mu.Unlock()
	if behaviour.reset || !a.wait(behaviour, r) {
		closeConnection(w, behaviour.reset)
		return
	}
	if !singleOnly {
		w.Header().Set("Accept-Post", ndjson)
	}
	writeHeader(w, behaviour, behaviour.status)
}

func (a *Analyzer) serveIngest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if err != nil {
		closeConnection(w, false)
		return
	}
	isNDJSON := r.Header.Get("Content-Type") == ndjson
	behaviour, first, packets := a.record(body, isNDJSON, r.Header)
	if behaviour.reset || !a.wait(behaviour, r) {
		closeConnection(w, behaviour.reset)
		return
	}
	status, refused := a.answer(behaviour, first, packets, isNDJSON)
	writeHeader(w, behaviour, status)
	if status == http.StatusMultiStatus && behaviour.refused != nil {
		_ = json.NewEncoder(w).Encode(map[string]any{ // the sender may have disconnected
			"status": "partial", "accepted": packets - len(refused), "refused": refused,
		})
		return
	}
	_, _ = io.WriteString(w, `{"status":"scripted"}`)
}

func writeHeader(w http.ResponseWriter, b Behaviour, status int) {
	for i := 0; i+1 < len(b.header); i += 2 {
		w.Header().Set(b.header[i], b.header[i+1])
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
}

// record stores the packets of one request as not taken, and returns the
// behaviour and their position in received.
func (a *Analyzer) record(body []byte, isNDJSON bool, header http.Header) (b Behaviour, first, packets int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.notify()
	a.requests++
	first = len(a.received)
	add := func(text []byte, line int) {
		p := Packet{Request: a.requests, Line: line, Header: header.Clone(), Body: bytes.Clone(text)}
		info, err := packet.Check(text, maxBodyBytes)
		if err == nil {
			p.EmitterID = string(info.EmitterID.AppendDecoded(nil, text))
			p.PacketID = string(info.PacketID.AppendDecoded(nil, text))
			p.Messages = info.Messages
		}
		a.received = append(a.received, p)
	}
	if !isNDJSON {
		add(body, 1)
		return a.ingest, first, 1
	}
	lines := packet.LinesOf(body)
	for line, number, ok := lines.Next(); ok; line, number, ok = lines.Next() {
		add(line, number)
	}
	return a.ingest, first, len(a.received) - first
}

type refusedLine struct {
	Line     int    `json:"line"`
	PacketID string `json:"packet_id"`
	Code     string `json:"code"`
	Detail   string `json:"detail"`
}

// answer returns the status of a request and marks the packets that are taken.
func (a *Analyzer) answer(b Behaviour, first, packets int, isNDJSON bool) (status int, refused []refusedLine) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.notify()
	for i := first; i < min(first+packets, len(a.received)); i++ {
		p := &a.received[i]
		if reason, ok := b.refused[p.PacketID]; ok {
			refused = append(refused, refusedLine{p.Line, p.PacketID, reason.Code, reason.Detail})
			continue
		}
		p.Taken = b.status/100 == 2
	}
	switch {
	case len(refused) == 0:
		return b.status, nil
	case isNDJSON:
		return http.StatusMultiStatus, refused
	default:
		return http.StatusUnprocessableEntity, refused
	}
}
