//go:build linux

package cluster

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logstreamer/logstreamer/test/natstest"
)

const (
	// networkVariable is set in a process with a separate network namespace.
	networkVariable = "LOGSTREAMER_CLUSTER_TEST_NETWORK"
	// parted is the group of the processes that are partitioned: their connections are marked.
	parted = 4711
)

// TestPartitions runs its rows in a network namespace, whose packets it may drop.
func TestPartitions(t *testing.T) {
	t.Parallel()
	if os.Getenv(networkVariable) != "" {
		prepareNetwork(t)
		for name, row := range map[string]func(*testing.T){
			"distributor and NATS": partedFromNATS, "NATS nodes": partedNodes, "distributor and analyzers": partedFromAnalyzers,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				row(t)
			})
		}
		return
	}
	natstest.Binary(t) // or skip
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rows := exec.Command(own, "-test.run", "^TestPartitions$", "-test.v", "-test.parallel", "3", "-judge="+strconv.FormatBool(*judge))
	rows.Env = append(os.Environ(), networkVariable+"=1", programVariable+"="+program)
	rows.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := rows.CombinedOutput()
	t.Logf("%s", out)
	switch {
	case rows.ProcessState == nil:
		t.Skipf("no network namespaces: %v", err)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skip("packets cannot be dropped")
	case err != nil:
		t.Error(err)
	}
}

// prepareNetwork marks the connections of processes that are partitioned later.
func prepareNetwork(t *testing.T) {
	for _, command := range []string{
		"ip link set lo up",
		fmt.Sprintf("iptables -A OUTPUT -m owner --gid-owner %d -j CONNMARK --set-mark 1", parted),
	} {
		if out, err := runCommand(command); err != nil {
			t.Skipf("%s: %v %s", command, err, out)
		}
	}
}

func runCommand(command string) (string, error) {
	words := strings.Fields(command)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	return string(out), err
}

// cut drops the matching packets for a while, in which the load continues.
func (y *system) cut(d time.Duration, matches ...string) {
	y.t.Helper()
	for _, action := range []string{"-A", "-D"} {
		for _, match := range matches {
			if out, err := runCommand("iptables " + action + " OUTPUT -p tcp " + match + " -j DROP"); err != nil {
				y.t.Fatal(err, out)
			}
		}
		if action == "-A" {
			y.wait(d)
			y.requireDrops(matches)
		}
	}
}

// requireDrops fails the test unless one of the rules has dropped packets: either side may have
// opened the connection.
func (y *system) requireDrops(matches []string) {
	y.t.Helper()
	rules, err := runCommand("iptables -L OUTPUT -v -x -n")
	if err != nil {
		y.t.Fatal(err, rules)
	}
	for _, match := range matches {
		_, ports, _ := strings.Cut(match, "--ports ")
		for rule := range strings.Lines(rules) {
			if strings.Contains(rule, "multiport ports "+ports) && !strings.HasPrefix(strings.TrimSpace(rule), "0 ") {
				return
			}
		}
	}
	y.t.Errorf("no packet was dropped: %s", rules)
}

// partedTime is longer than the detection of a silent peer takes.
func partedTime() time.Duration {
	if *judge {
		return 40 * time.Second
	}
	return 8 * time.Second
}

func marked(ports ...int) string {
	return "-m connmark --mark 1 -m multiport --ports " + strings.Trim(strings.Join(strings.Fields(fmt.Sprint(ports)), ","), "[]")
}

// One of two distributors is partitioned from NATS.
func partedFromNATS(t *testing.T) {
	y := newSystem(t, setup{kills: true, servers: 1, distributors: 2, group: parted})
	y.cut(partedTime(), marked(y.servers[0].Port()))
	y.emitters.awaitMore(t, 500)
	y.finish()
}

// One of two distributors is partitioned from all analyzers.
func partedFromAnalyzers(t *testing.T) {
	y := newSystem(t, setup{servers: 1, distributors: 2, group: parted})
	var ports []int
	for _, a := range y.analyzers {
		u, err := url.Parse(a.URL())
		if err != nil {
			t.Fatal(err)
		}
		port, err := strconv.Atoi(u.Port())
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, port)
	}
	y.cut(partedTime(), marked(ports...))
	y.emitters.awaitMore(t, 500)
	y.finish()
}

// One of three servers is partitioned from the other two, and clients reach all servers.
func partedNodes(t *testing.T) {
	y := newSystem(t, setup{servers: 3, distributors: 2, nats: natstest.Options{Runner: func(number int) []string {
		if number > 0 {
			return nil
		}
		return []string{"setpriv", "--regid", strconv.Itoa(parted), "--clear-groups"}
	}}})
	first, others := y.servers[0], y.servers[1:]
	y.cut(partedTime(), fmt.Sprintf("-m multiport --ports %d", first.RoutePort()), marked(others[0].RoutePort(), others[1].RoutePort()))
	y.emitters.awaitMore(t, 500)
	y.finish()
}
