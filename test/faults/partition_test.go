package faults

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// namespace is a network namespace connected to this one by a veth pair.
type namespace struct {
	t               *testing.T
	name            string
	inside, outside string // interfaces
	subnet          string // the first three octets of its addresses, and a dot
}

// noNamespaces returns why networks cannot be partitioned here, or "".
func noNamespaces() string {
	n := describeNamespace()
	defer n.remove()
	for _, command := range append(n.createCommands(), n.dropCommands("-A")...) {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Sprintf("no network namespaces: %s: %v %s", strings.Join(command, " "), err, oneLine(out))
		}
	}
	return ""
}

// newNamespace creates a namespace for the duration of the test.
func newNamespace(t *testing.T) *namespace {
	t.Helper()
	n := describeNamespace()
	n.t = t
	t.Cleanup(n.remove)
	for _, command := range n.createCommands() {
		n.run(command...)
	}
	return n
}

func describeNamespace() *namespace {
	id := rand.IntN(1_000_000)
	return &namespace{
		name: fmt.Sprintf("faults-%d", id), inside: fmt.Sprintf("fi%d", id), outside: fmt.Sprintf("fo%d", id),
		subnet: fmt.Sprintf("198.18.%d.", id%250), // reserved for network tests
	}
}

// remove deletes it. The interfaces go first: the kernel keeps a namespace's
// own for a while.
func (n *namespace) remove() {
	_ = exec.Command("ip", "link", "del", n.outside).Run() // it may not have been made
	_ = exec.Command("ip", "netns", "del", n.name).Run()
}

// createCommands returns the commands that create it.
func (n *namespace) createCommands() [][]string {
	var commands [][]string
	for _, line := range []string{
		"ip netns add " + n.name,
		"ip link add " + n.outside + " type veth peer name " + n.inside + " netns " + n.name,
		"ip addr add " + n.subnet + "1/24 dev " + n.outside,
		"ip link set " + n.outside + " up",
		"ip -n " + n.name + " addr add " + n.address() + "/24 dev " + n.inside,
		"ip -n " + n.name + " link set " + n.inside + " up",
	} {
		commands = append(commands, strings.Fields(line))
	}
	return commands
}

// dropCommands returns the commands that start (-A) or stop (-D) dropping all
// packets.
func (n *namespace) dropCommands(action string) [][]string {
	var commands [][]string
	for _, chain := range []string{"INPUT", "OUTPUT"} {
		commands = append(commands, []string{"ip", "netns", "exec", n.name, "iptables", action, chain, "-j", "DROP"})
	}
	return commands
}

// address is the listen address of an analyzer inside.
func (n *namespace) address() string { return n.subnet + "2" }

func (n *namespace) run(command ...string) {
	n.t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
}

func (n *namespace) drop(action string) {
	n.t.Helper()
	for _, command := range n.dropCommands(action) {
		n.run(command...)
	}
}

func (n *namespace) link(state string) {
	n.t.Helper()
	n.run("ip", "-n", n.name, "link", "set", n.inside, state)
}

// partition separates the first analyzer from the distributor twice.
func partition(s *system) {
	n := newNamespace(s.t)
	s.analyzers[0].kill()
	s.analyzers[0] = newAnalyzer(s.t, "analyzer-1", s.analyzers[0].analyzerSpec, n.address()+":0", "ip", "netns", "exec", n.name)
	s.begin()
	faults := []struct{ begin, end func() }{
		{func() { n.drop("-A") }, func() { n.drop("-D") }},
		{func() { n.link("down") }, func() { n.link("up") }},
	}
	var slowest time.Duration
	for _, p := range faults {
		s.waitRandom(100 * time.Millisecond)
		started := time.Now()
		p.begin()
		s.distributor.awaitHealthy(len(s.analyzers) - 1)
		slowest = max(slowest, time.Since(started))
		s.wait(500 * time.Millisecond)
		p.end()
		s.distributor.awaitHealthy(len(s.analyzers))
		s.emitters.awaitMore(s.t, accepted, 300)
		s.assertUnaffected("while one analyzer was cut off")
	}
	s.report("noticed within %v", slowest.Round(10*time.Millisecond))
}
