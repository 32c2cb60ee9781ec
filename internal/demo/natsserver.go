package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"go/build"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// natsServer is a NATS server with JetStream, a process.
type natsServer struct {
	*child
	port, monitor int
}

// installNATS is what installs the server. It is no part of this program, which it would make
// larger by a third.
const (
	natsVersion = "2.15.2"
	installNATS = "go install github.com/nats-io/nats-server/v2@v" + natsVersion
)

// findNATS returns the server's program: the given file, or what PATH or Go's directory of
// programs has.
func findNATS(file string) (string, error) {
	if file == "" {
		dirs := append(filepath.SplitList(os.Getenv("GOBIN")), filepath.Join(build.Default.GOPATH, "bin"))
		found, err := exec.LookPath("nats-server")
		for i := 0; err != nil && i < len(dirs); i++ {
			found, err = exec.LookPath(filepath.Join(dirs[i], "nats-server"))
		}
		if err != nil {
			return "", fmt.Errorf("a cluster needs nats-server, which is neither in PATH nor in %s; this installs it:\n\n  %s\n\nor -nats-server names its file", strings.Join(dirs, " or "), installNATS)
		}
		file = found
	}
	said, err := exec.Command(file, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("-nats-server: %s --version: %w; this installs it: %s", file, err, installNATS)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(said), "nats-server: v%d.%d", &major, &minor); err != nil || major < 2 || major == 2 && minor < 15 {
		version, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
		return "", fmt.Errorf("-nats-server: %s --version prints %.100q: the program must be nats-server, and must be 2.15 or later (2.9 lost streams); this installs it: %s",
			file, version, installNATS)
	}
	return filepath.Abs(file)
}

// startNATS starts a server whose streams are in the directory.
func startNATS(ctx context.Context, program, dir string) (*natsServer, error) {
	free, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	s := &natsServer{port: free[0], monitor: free[1]}
	configuration := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("server_name: nats-1\nlisten: 127.0.0.1:%d\nhttp: 127.0.0.1:%d\njetstream {store_dir: %q, sync_interval: always}\n",
		s.port, s.monitor, filepath.ToSlash(filepath.Join(dir, "streams")))
	if err := os.WriteFile(configuration, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.child, err = startChild("nats-server", dir, nil, program, "-c", configuration); err != nil {
		return nil, err
	}
	if err := s.await(ctx, func(ctx context.Context) bool { return get(ctx, s.monitorURL()+"/healthz", nil) == nil }); err != nil {
		s.kill()
		return nil, err
	}
	return s, nil
}

func (s *natsServer) url() string        { return fmt.Sprintf("nats://127.0.0.1:%d", s.port) }
func (s *natsServer) monitorURL() string { return fmt.Sprintf("http://127.0.0.1:%d", s.monitor) }

// stored returns how many envelopes the distributors' streams hold.
func (s *natsServer) stored(ctx context.Context) (envelopes int64, err error) {
	var state struct {
		Accounts []struct {
			Streams []struct {
				Name  string
				State struct{ Messages int64 }
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := get(ctx, s.monitorURL()+"/jsz?streams=true", &state); err != nil {
		return 0, err
	}
	for _, account := range state.Accounts {
		for _, stream := range account.Streams {
			if strings.HasPrefix(stream.Name, streamPrefix+"-") {
				envelopes += stream.State.Messages
			}
		}
	}
	return envelopes, nil
}

// streamPrefix is what the names of the distributors' streams begin with.
const streamPrefix = "DEMO"

// get asks a server of the demo, and decodes its response unless into is nil.
func get(ctx context.Context, url string, into any) error {
	const timeout = time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // it is read to its end, or not needed
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	if into == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(into)
}
