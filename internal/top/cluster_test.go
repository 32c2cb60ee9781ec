package top

import (
	"strings"
	"testing"

	"github.com/logstreamer/logstreamer/internal/adminclient/admintest"
)

const clusterJSON = `{"answered_by":"a:8080","connected":false,"detail":"no NATS","stored":{"envelopes":3,"bytes":400,"limit_bytes":5000},"distributors":[
	{"name":"a:8080","address":"http://a:8080","answers":true,"age":"0s","version":"1.1","started":"2026-11-29T11:00:00Z","state":"normal","reason":"all is well","ready":true,"intake":"open","dispatch":"running","revision":12,"synchronized":true,"analyzers":{"total":1,"healthy":1},
	"ledger":{"accepted":{"packets":100,"messages":5000},"delivered":{"packets":90,"messages":4500},"queued":{"packets":7,"messages":350},"in_flight":{"packets":2,"messages":100},"dead_lettered":{"packets":1,"messages":50},"damaged":{"packets":0,"messages":0},"unaccounted_messages":0},"rates":{"accepted_messages_per_s":25000,"delivered_messages_per_s":24000,"refused_packets_per_s":0}},
	{"name":"b:8080","address":"http://b:8080","answers":false,"age":"1s","version":"1.0","started":"2026-11-29T11:00:00Z","state":"panic","reason":"none","ready":false,"intake":"open","dispatch":"running","revision":11,"synchronized":false,"analyzers":{"total":1,"healthy":0},
	"ledger":{"accepted":{"packets":7,"messages":7},"delivered":{"packets":8,"messages":8},"queued":{"packets":0,"messages":0},"in_flight":{"packets":0,"messages":0},"dead_lettered":{"packets":0,"messages":0},"damaged":{"packets":0,"messages":0},"unaccounted_messages":0},"rates":{"accepted_messages_per_s":5,"delivered_messages_per_s":6,"refused_packets_per_s":0}}],
	"sum":{"distributors":2,"ready":1,"ledger":{"accepted":{"packets":107,"messages":5007},"delivered":{"packets":98,"messages":4508},"queued":{"packets":7,"messages":350},"in_flight":{"packets":2,"messages":100},"dead_lettered":{"packets":1,"messages":50},"damaged":{"packets":0,"messages":0},"unaccounted_messages":0},"rates":{"accepted_messages_per_s":25005,"delivered_messages_per_s":24006,"refused_packets_per_s":0}}}`

// The line of a cluster has the sum, who answers, and who is not well.
func TestClusterLine(t *testing.T) {
	server := admintest.New(t)
	server.Answer("GET /v1/session", 200, `{"name":"ops","role":"read","by":"token"}`)
	server.Answer("GET /v1/history", 200, historyJSON)
	server.Answer("GET /v1/status", 200, strings.Replace(statusJSON, `"last_reload"`, `"settings":{"shared":true,"synchronized":true},"last_reload"`, 1))
	server.Answer("GET /v1/analyzers", 200, analyzersJSON)
	server.Answer("GET /v1/backlog", 200, backlogJSON)
	server.Answer("GET /v1/refusals", 200, refusalsJSON)
	server.Answer("GET /v1/events", 200, eventsJSON)
	server.Answer("GET /v1/cluster", 200, clusterJSON)
	s := screenOf(t, server).connect()
	s.width = 300
	const want = "cluster: in 25005 msg/s, out 24006 msg/s, 1 of 2 ready, 3 envelopes stored, perhaps outdated: no NATS; a:8080 (this one); b:8080 panic, settings not synchronized"
	if got := strings.Join(s.lines(), "\n"); !strings.Contains(got, want) {
		t.Errorf("%s\nlacks %s", got, want)
	}
	if got := plain(s.detail, noon); !strings.Contains(got, want) {
		t.Errorf("%s\nlacks %s", got, want)
	}
}
