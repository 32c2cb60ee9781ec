// Package natstest runs real NATS servers for tests, as processes. The server's binary is
// built from the module test/nats, so that no other module requires it:
//
//	go build -o bin/nats-server github.com/nats-io/nats-server/v2
package natstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/ports"
)

// Server is a server with JetStream. It keeps its ports and its data over restarts.
type Server struct {
	t         testing.TB
	name      string
	dir       string
	port      int
	route     int
	monitor   int
	arguments []string
	command   *exec.Cmd
	ended     chan struct{}
}

// Options change a server.
type Options struct {
	// SyncInterval is JetStream's sync_interval; empty is always.
	SyncInterval string
	// More is appended to the configuration.
	More string
	// Dir, unless empty, is the data directory of a single server.
	Dir string
	// Runner, unless nil, returns the command that runs the server with a number from 0; the
	// server's own command is appended. The process must become the server, as with exec.
	Runner func(number int) []string
}

// Cluster is servers that form one cluster.
type Cluster []*Server

// Binary returns the path of the server's binary, and skips the test without it.
func Binary(t testing.TB) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(file), "..", "..", "bin", "nats-server")
	if _, err := os.Stat(path); err != nil {
		t.Skip("bin/nats-server is not built: go build -o bin/nats-server github.com/nats-io/nats-server/v2")
	}
	return path
}

// Start starts a single server.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	return StartCluster(t, 1, options)[0]
}

// New returns a single server that is not running.
func New(t testing.TB, options Options) *Server {
	t.Helper()
	return newCluster(t, 1, options)[0]
}

// StartCluster starts size servers and waits until they serve.
func StartCluster(t testing.TB, size int, options Options) Cluster {
	t.Helper()
	c := newCluster(t, size, options)
	for _, s := range c {
		s.Launch()
	}
	for _, s := range c {
		s.Await()
	}
	return c
}

func newCluster(t testing.TB, size int, options Options) Cluster {
	t.Helper()
	path := Binary(t)
	free, err := ports.Free(3 * size)
	if err != nil {
		t.Fatal(err)
	}
	var routes []string
	for i := range size {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", free[3*i+2]))
	}
	var c Cluster
	for i := range size {
		s := &Server{t: t, name: fmt.Sprintf("nats-%d", i+1), dir: t.TempDir(), port: free[3*i], monitor: free[3*i+1], route: free[3*i+2]}
		if options.Dir != "" {
			s.dir = options.Dir
		}
		sync := options.SyncInterval
		if sync == "" {
			sync = "always"
		}
		text := fmt.Sprintf("server_name: %s\nlisten: 127.0.0.1:%d\nhttp: 127.0.0.1:%d\njetstream {store_dir: %q, sync_interval: %q, max_file_store: 8GB}\n%s\n",
			s.name, s.port, s.monitor, filepath.Join(s.dir, "data"), sync, options.More)
		if size > 1 {
			text += fmt.Sprintf("cluster {name: test, listen: 127.0.0.1:%d, routes: [%s]}\n", free[3*i+2], strings.Join(routes, ", "))
		}
		config := filepath.Join(s.dir, "nats.conf")
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if options.Runner != nil {
			s.arguments = options.Runner(i)
		}
		s.arguments = append(s.arguments, path, "-c", config)
		t.Cleanup(s.Kill)
		c = append(c, s)
	}
	return c
}

// URL returns the URL of the server.
func (s *Server) URL() string { return "nats://127.0.0.1:" + strconv.Itoa(s.port) }

// URL returns the URLs of all servers.
func (c Cluster) URL() string {
	var all []string
	for _, s := range c {
		all = append(all, s.URL())
	}
	return strings.Join(all, ",")
}

// Monitor returns the URL of the monitoring port.
func (s *Server) Monitor() string { return "http://127.0.0.1:" + strconv.Itoa(s.monitor) }

// Monitor returns the URLs of all monitoring ports.
func (c Cluster) Monitor() string {
	var all []string
	for _, s := range c {
		all = append(all, s.Monitor())
	}
	return strings.Join(all, ",")
}

// Port and RoutePort return the server's ports for clients and for the other servers.
func (s *Server) Port() int      { return s.port }
func (s *Server) RoutePort() int { return s.route }

// Leader returns the server that leads a stream, and another server.
func (c Cluster) Leader(stream string) (leader, follower *Server) {
	t := c[0].t
	t.Helper()
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-ticker.C {
		for i, asked := range c {
			name := asked.leaderOf(&client, stream)
			for at, s := range c {
				if s.name == name {
					return s, c[(at+1+i%2)%len(c)]
				}
			}
		}
	}
	t.Fatalf("the stream %s has no leader within a minute", stream)
	return nil, nil
}

// leaderOf returns the name of the server that leads a stream, or "" if this server does not know
// it.
func (s *Server) leaderOf(client *http.Client, stream string) string {
	response, err := client.Get(s.Monitor() + "/jsz?streams=true")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	var state struct {
		Accounts []struct {
			Streams []struct {
				Name    string
				Cluster struct{ Leader string }
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if json.NewDecoder(response.Body).Decode(&state) != nil {
		return ""
	}
	for _, account := range state.Accounts {
		for _, one := range account.Streams {
			if one.Name == stream && one.Cluster.Leader != "" {
				return one.Cluster.Leader
			}
		}
	}
	return ""
}

// SlowConsumers returns the number of connections that the server closed because they did not read.
func (s *Server) SlowConsumers() (closed int) {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(s.Monitor() + "/varz")
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	var state struct {
		SlowConsumers int `json:"slow_consumers"`
	}
	_ = json.NewDecoder(response.Body).Decode(&state) // then the result is 0
	return state.SlowConsumers
}

// Launch starts the process without waiting.
func (s *Server) Launch() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	command := exec.Command(s.arguments[0], s.arguments[1:]...)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	s.command, s.ended = command, ended
	go func() {
		_ = command.Wait() // its result is in command.ProcessState
		close(ended)
	}()
}

// Await waits until the server's JetStream is ready.
func (s *Server) Await() {
	s.t.Helper()
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-ticker.C {
		response, err := client.Get(s.Monitor() + "/healthz")
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return
		}
	}
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	s.t.Fatalf("%s is not ready within a minute:\n%s", s.name, text[max(0, len(text)-4000):])
}

// Restart starts a server that was killed or stopped, and waits until it serves.
func (s *Server) Restart() {
	s.t.Helper()
	s.Launch()
	s.Await()
}

// Kill sends SIGKILL and waits for the end.
func (s *Server) Kill() {
	if s.command != nil {
		_ = s.command.Process.Kill() // it may have ended
		<-s.ended
	}
}

// LoseData removes the stored data of a server that is not running.
func (s *Server) LoseData() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "data")); err != nil {
		s.t.Fatal(err)
	}
}

// Stop sends SIGTERM and waits for the end.
func (s *Server) Stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM) // it may have ended
	<-s.ended
}
