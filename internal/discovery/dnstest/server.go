// Package dnstest provides a DNS server whose responses change, for tests of what resolves names.
package dnstest

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server answers by UDP and TCP on one address. It may be used concurrently.
type Server struct {
	// Address is host:port.
	Address string

	mu      sync.Mutex // guards all below
	records map[string][]dns.RR
	code    int                     // of queries that match
	matches func(dns.Question) bool // nil: all
	silent  chan struct{}           // unless nil, queries wait for its end
	queries int
}

// listen listens on a port that is free for UDP and TCP.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	const attempts = 100
	for range attempts {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, l
		}
		_ = packets.Close()
	}
	t.Fatalf("%d ports that are free for UDP are not free for TCP", attempts)
	return nil, nil
}

// New starts a server, which the test ends. It has no names.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{records: make(map[string][]dns.RR)}
	packets, l := listen(t)
	s.Address = packets.LocalAddr().String()
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: s}, {Listener: l, Handler: s}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = server.ActivateAndServe() // ends with Shutdown
		}()
		<-started
		t.Cleanup(func() {
			s.EndSilence()
			_ = server.Shutdown()
			<-ended
		})
	}
	return s
}

// Set replaces the records of a name, each as in a zone file without the name, such as
// "5 IN A 127.0.0.2". A CNAME is part of all responses. Without records the name exists and has none.
func (s *Server) Set(name string, records ...string) {
	parsed := []dns.RR{}
	for _, text := range records {
		record, err := dns.NewRR(dns.Fqdn(name) + " " + text)
		if err != nil {
			panic(fmt.Sprintf("%q: %v", text, err)) // a mistake of the test
		}
		parsed = append(parsed, record)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[dns.Fqdn(name)] = parsed
}

// Fail answers all queries with a code, such as dns.RcodeServerFailure; dns.RcodeSuccess ends
// that.
func (s *Server) Fail(code int) { s.FailIf(code, nil) }

// FailIf is Fail for the queries that match.
func (s *Server) FailIf(code int, matches func(dns.Question) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code, s.matches = code, matches
}

// Silence lets queries wait until EndSilence.
func (s *Server) Silence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = make(chan struct{})
}

// EndSilence ends Silence.
func (s *Server) EndSilence() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent != nil {
		close(s.silent)
		s.silent = nil
	}
}

// Queries returns how many queries were answered.
func (s *Server) Queries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries
}

// ServeDNS implements dns.Handler.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	s.mu.Lock()
	silent := s.silent
	s.mu.Unlock()
	if silent != nil {
		<-silent
	}
	_, byTCP := w.LocalAddr().(*net.TCPAddr)
	_ = w.WriteMsg(s.answer(query, byTCP)) // the client may be gone
}

func (s *Server) answer(query *dns.Msg, byTCP bool) *dns.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries++
	response := new(dns.Msg).SetReply(query)
	records, known := s.records[query.Question[0].Name]
	switch {
	case s.code != dns.RcodeSuccess && (s.matches == nil || s.matches(query.Question[0])):
		response.Rcode = s.code
	case !known:
		response.Rcode = dns.RcodeNameError
	default:
		for _, record := range records {
			if kind := record.Header().Rrtype; kind == query.Question[0].Qtype || kind == dns.TypeCNAME {
				response.Answer = append(response.Answer, record)
			}
		}
	}
	if !byTCP {
		size := dns.MinMsgSize
		if options := query.IsEdns0(); options != nil {
			size = int(options.UDPSize())
		}
		response.Truncate(size)
	}
	return response
}
