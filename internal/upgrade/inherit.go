package upgrade

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// Names of descriptors beside those of listeners.
const (
	// connectionName is short: all names together are one variable of the environment,
	// which the kernel limits to 128 KiB.
	connectionName = "c"
	imageName      = "previous_image"
)

// stateVariable has what a new process is started for: trial; replace and the arguments
// of the binary before, as JSON; or failed and why the binary could not start that was to
// replace this one.
const (
	stateVariable = "LOGSTREAMER_UPGRADE"
	trial         = "trial"
	replacing     = "replace: "
	failed        = "failed: "
)

// Inheritance is what a process was started with: sockets, and after an upgrade the binary
// before. It must not be used concurrently.
type Inheritance struct {
	names       []string   // of listeners
	listeners   []*os.File // in the order of names
	connections []*os.File // until Connections
	image       *os.File   // the binary before; nil if this start is no upgrade
	args        []string   // of the binary before
	state       string
}

// Inherit takes what this process inherits, and removes it from the environment, so that
// child processes do not take it for theirs. It is an error if a descriptor has a name that
// is neither known nor allowed, or one name twice.
func Inherit(allowed ...string) (*Inheritance, error) {
	i := &Inheritance{state: os.Getenv(stateVariable)}
	_ = os.Unsetenv(stateVariable)
	var errs []error
	if text, ok := strings.CutPrefix(i.state, replacing); ok {
		errs = append(errs, json.Unmarshal([]byte(text), &i.args))
	}
	for _, f := range activation.Files(true) {
		name := f.Name()
		switch {
		case name == connectionName:
			i.connections = append(i.connections, f)
		case name == imageName:
			i.image = f
		case !slices.Contains(allowed, name):
			errs = append(errs, fmt.Errorf("LISTEN_FDNAMES has %q: it must be one of %s, each at most once", name, strings.Join(allowed, ", ")))
		case slices.Contains(i.names, name):
			errs = append(errs, fmt.Errorf("LISTEN_FDNAMES has %q more than once", name))
		default:
			i.names, i.listeners = append(i.names, name), append(i.listeners, f)
		}
	}
	return i, errors.Join(errs...)
}

// Trial reports whether the process is to end where a start would begin to take resources.
func (i *Inheritance) Trial() bool { return i.state == trial }

// Failure returns why the binary could not start that was to replace this one, or "".
func (i *Inheritance) Failure() string {
	reason, _ := strings.CutPrefix(i.state, failed)
	if reason == i.state {
		return ""
	}
	return reason
}

// Upgraded reports whether this process is the outcome of an upgrade.
func (i *Inheritance) Upgraded() bool { return i.image != nil }

// Listener returns the listener of a name, or nil.
func (i *Inheritance) Listener(name string) (net.Listener, error) {
	at := slices.Index(i.names, name)
	if at < 0 {
		return nil, nil
	}
	l, err := net.FileListener(i.listeners[at])
	if err != nil {
		return nil, fmt.Errorf("the inherited descriptor %d (LISTEN_FDNAMES: %q) is no listening socket: %w", i.listeners[at].Fd(), name, err)
	}
	return l, nil
}

// Datagrams returns the socket of datagrams of a name, or nil.
func (i *Inheritance) Datagrams(name string) (net.PacketConn, error) {
	at := slices.Index(i.names, name)
	if at < 0 {
		return nil, nil
	}
	c, err := net.FilePacketConn(i.listeners[at])
	if err != nil {
		return nil, fmt.Errorf("the inherited descriptor %d (LISTEN_FDNAMES: %q) is no socket of datagrams: %w", i.listeners[at].Fd(), name, err)
	}
	return c, nil
}

// Connections returns the connections, without those that ended, for a service that is about to
// serve: FallBack does not have them any more. They take no further descriptors, since there may
// be nearly as many as a process may have.
func (i *Inheritance) Connections() []net.Conn {
	var conns []net.Conn
	for _, f := range i.connections {
		if c, err := net.FileConn(f); err == nil {
			conns = append(conns, c)
		}
		_ = f.Close()
	}
	i.connections = nil
	return conns
}

// Ready ends the possibility to fall back, once the service serves.
func (i *Inheritance) Ready() {
	for _, f := range slices.Concat(i.listeners, i.connections) {
		_ = f.Close()
	}
	if i.image != nil {
		_ = i.image.Close()
	}
	*i = Inheritance{}
}

// FallBack executes the binary before, which inherits all sockets, since this one cannot
// start. It returns only if there is none, or if that fails.
func (i *Inheritance) FallBack(reason error) error {
	if i.image == nil || len(i.args) == 0 {
		return nil
	}
	path := "/proc/self/fd/" + strconv.Itoa(int(i.image.Fd()))
	names := slices.Concat(i.names, slices.Repeat([]string{connectionName}, len(i.connections)))
	var files []syscall.Conn
	for _, f := range slices.Concat(i.listeners, i.connections) {
		files = append(files, f)
	}
	text := strings.ReplaceAll(reason.Error(), "\x00", "")
	environ := append(os.Environ(), stateVariable+"="+failed+text[:min(len(text), maxOutput)])
	return replace(path, i.args, environ, names, files)
}
