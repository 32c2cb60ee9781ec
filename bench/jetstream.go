//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/logstreamer/logstreamer/test/ports"
)

// oursOnStreams is the distributor with JOURNAL=jetstream and the given number of NATS servers, which sync
// always. They run on both cores; their processor time is not the distributor's.
func oursOnStreams(name string, servers int) subject {
	s := distributor(name, 1, "jetstream")
	withoutStreams := s.command
	s.companions = func(p *subjectConfig) ([]*exec.Cmd, error) { return natsServers(p, servers) }
	s.command = func(p subjectConfig) (*exec.Cmd, error) {
		command, err := withoutStreams(p)
		if err == nil {
			command.Env = append(command.Env, "NATS_URL="+strings.Join(p.nats, ","), fmt.Sprintf("JETSTREAM_REPLICAS=%d", servers), "JETSTREAM_MAX_BYTES=512MiB")
		}
		return command, err
	}
	return s
}

// natsServers returns the commands of NATS servers that form a cluster, and notes their URLs.
func natsServers(p *subjectConfig, count int) (commands []*exec.Cmd, err error) {
	path, err := lookPath("nats-server")
	if err != nil {
		return nil, err
	}
	free, err := ports.Free(2 * count)
	if err != nil {
		return nil, err
	}
	var routes []string
	for i := range count {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", free[2*i+1]))
	}
	for i := range count {
		text := fmt.Sprintf("server_name: nats-%d\nlisten: 127.0.0.1:%d\njetstream {store_dir: %q, sync_interval: always}\n", i+1, free[2*i], filepath.Join(p.dir, fmt.Sprint("nats-", i+1)))
		if count > 1 {
			text += fmt.Sprintf("cluster {name: bench, listen: 127.0.0.1:%d, routes: [%s]}\n", free[2*i+1], strings.Join(routes, ", "))
		}
		file := filepath.Join(p.dir, fmt.Sprintf("nats-%d.conf", i+1))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
		p.nats = append(p.nats, fmt.Sprintf("nats://127.0.0.1:%d", free[2*i]))
		commands = append(commands, exec.Command(path, "-c", file))
	}
	return commands, nil
}
