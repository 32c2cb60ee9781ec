// Package balancers runs the load balancers of examples with their configurations, in front of
// three servers that replace distributors.
package balancers

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// backends records which of three servers takes the requests of each emitter.
type backends struct {
	servers []*httptest.Server
	mu      sync.Mutex
	taken   map[string]map[int]bool // guarded by mu; by emitter
}

func startBackends(t *testing.T) *backends {
	b := &backends{taken: map[string]map[int]bool{}}
	for i := range 3 {
		b.servers = append(b.servers, httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/readyz" {
				return
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			emitter := r.Header.Get("Emitter-Id")
			if b.taken[emitter] == nil {
				b.taken[emitter] = map[int]bool{}
			}
			b.taken[emitter][i] = true
			w.WriteHeader(http.StatusAccepted)
		})))
	}
	t.Cleanup(func() {
		for _, s := range b.servers {
			s.Close()
		}
	})
	return b
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a balancer with a configuration of examples and with the addresses of this test.
func (b *backends) start(t *testing.T, program, example string, arguments func(file string) []string) (address string) {
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip(program + " is not installed")
	}
	text, err := os.ReadFile("../../examples/" + example)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	address = freeAddress(t)
	config := strings.NewReplacer("bind :8090", "bind "+address, "listen 8090", "listen "+address, "/run/nginx.pid", filepath.Join(dir, "pid"),
		"127.0.0.1:8080", b.servers[0].Listener.Addr().String(), "127.0.0.1:8180", b.servers[1].Listener.Addr().String(),
		"127.0.0.1:8280", b.servers[2].Listener.Addr().String()).Replace(string(text))
	file := filepath.Join(dir, example)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, arguments(file)...)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt) // both end at once
		_ = command.Wait()
	})
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for range 1000 {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return address
		}
		<-ticker.C
	}
	t.Fatal(program + " does not listen")
	return ""
}

func send(t *testing.T, address, emitter string) {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+address+"/ingest", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Emitter-Id", emitter)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		t.Errorf("%s: status %d", emitter, response.StatusCode)
	}
}

// shards sends two requests of each emitter, and returns the server that took them. Both
// requests of an emitter must reach the same server.
func (b *backends) shards(t *testing.T, address string) map[string]int {
	t.Helper()
	const emitters = 60
	b.mu.Lock()
	b.taken = map[string]map[int]bool{}
	b.mu.Unlock()
	for i := range 2 * emitters {
		send(t, address, fmt.Sprintf("web-%d", i%emitters))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	of := map[string]int{}
	for emitter, servers := range b.taken {
		for server := range servers {
			of[emitter] = server
		}
		if len(servers) != 1 {
			t.Errorf("%s reached %d servers", emitter, len(servers))
		}
	}
	return of
}

// All requests of an emitter reach one server, emitters spread over all servers, and when a server
// leaves only its emitters move.
func TestEmittersAreSharded(t *testing.T) {
	for _, c := range []struct {
		program, example string
		arguments        func(string) []string
	}{
		{"haproxy", "haproxy.cfg", func(file string) []string { return []string{"-db", "-f", file} }},
		{"nginx", "nginx.conf", func(file string) []string { return []string{"-c", file, "-g", "daemon off;"} }},
	} {
		t.Run(c.program, func(t *testing.T) {
			b := startBackends(t)
			address := b.start(t, c.program, c.example, c.arguments)
			before := b.shards(t, address)
			count := map[int]int{}
			for _, server := range before {
				count[server]++
			}
			if len(count) != 3 {
				t.Errorf("emitters by server: %v", count)
			}
			b.servers[0].CloseClientConnections()
			b.servers[0].Close()
			for emitter, server := range b.shards(t, address) {
				if server == 0 || before[emitter] != 0 && server != before[emitter] {
					t.Errorf("%s moved from %d to %d", emitter, before[emitter], server)
				}
			}
		})
	}
	http.DefaultClient.CloseIdleConnections()
}
