package demo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/protobuf"
)

// backend stands in for Elasticsearch or Loki as an analyzer. It reads messages and keeps none.
type backend struct {
	target distributor.Target
	server *http.Server
	ended  chan struct{}
}

// startBackends starts an Elasticsearch and a Loki; taken is called with each message.
func startBackends(taken func(text string), logger *slog.Logger) (started []*backend, err error) {
	for _, kind := range []struct {
		id, scheme string
		handler    http.HandlerFunc
	}{
		{"elastic", "es+http://", func(w http.ResponseWriter, r *http.Request) { answerElasticsearch(w, r, taken) }},
		{"loki", "loki+http://", func(w http.ResponseWriter, r *http.Request) { answerLoki(w, r, taken) }},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			stopBackends(started)
			return nil, err
		}
		b := &backend{ended: make(chan struct{})}
		b.target = distributor.Target{ID: kind.id, URL: kind.scheme + listener.Addr().String(), Weight: 0.5}
		b.server = &http.Server{Handler: kind.handler, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn)}
		go func() {
			defer close(b.ended)
			_ = b.server.Serve(listener) // ends with Close
		}()
		started = append(started, b)
	}
	return started, nil
}

func stopBackends(all []*backend) {
	for _, b := range all {
		_ = b.server.Close() // all senders have ended
		<-b.ended
	}
}

func answerElasticsearch(w http.ResponseWriter, r *http.Request, taken func(string)) {
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	if !strings.HasSuffix(r.URL.Path, "_bulk") {
		_, _ = io.WriteString(w, `{"version":{"number":"8.17.0"}}`) // the client sees what is missing
		return
	}
	response := []byte(`{"errors":false,"items":[`)
	lines := bufio.NewReader(r.Body)
	for n := 0; ; n++ {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		if n%2 == 0 { // the action
			continue
		}
		var document struct{ Message string }
		if err := json.Unmarshal(line, &document); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		taken(document.Message)
		response = append(response, `{"create":{"status":201}},`...)
	}
	_, _ = w.Write(append(bytes.TrimSuffix(response, []byte(",")), `]}`...)) // the client sees what is missing
}

// answerLoki reads logproto.PushRequest, snappy-compressed.
func answerLoki(w http.ResponseWriter, r *http.Request, taken func(string)) {
	const maxBody = 64 << 20
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, "ready") // the client sees what is missing
		return
	}
	compressed, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, err := s2.Decode(nil, compressed)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	const streams, entries, line = 1<<3 | protobuf.Bytes, 2<<3 | protobuf.Bytes, 2<<3 | protobuf.Bytes
	var texts []string
	each(body, streams, func(stream []byte) {
		each(stream, entries, func(entry []byte) {
			each(entry, line, func(text []byte) { texts = append(texts, string(text)) })
		})
	})
	for _, text := range texts {
		taken(text)
	}
	w.WriteHeader(http.StatusNoContent)
}

// each calls with for each field of a tag.
func each(message []byte, tag uint64, with func([]byte)) {
	for f := (protobuf.Fields{Rest: message}); f.Next(); {
		if f.Tag == tag {
			with(f.Text)
		}
	}
}
