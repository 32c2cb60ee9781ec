package upgrade

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Sockets are the sockets that a new binary inherits: listeners and sockets of datagrams by name,
// and connections.
type Sockets struct {
	Listeners   map[string]net.Listener
	Datagrams   map[string]net.PacketConn
	Connections []net.Conn
}

// Exec executes the new binary in this process. It returns only if that fails; the sockets
// remain the caller's.
func (u *Upgrader) Exec(service string, sockets Sockets) error {
	names, files, err := sockets.files()
	if err != nil {
		return err
	}
	image, err := os.Open("/proc/self/exe") // also if the file was removed
	if err != nil {
		return err
	}
	defer image.Close() //nolint:errcheck // it is only read
	names, files = append(names, imageName), append(files, image)
	args := append([]string{u.program, service}, u.args...)
	text, err := json.Marshal(args) // of strings: only invalid UTF-8 would be altered
	if err != nil {
		return err
	}
	return replace(u.program, args, append(os.Environ(), stateVariable+"="+replacing+string(text)), names, files)
}

func (s Sockets) files() (names []string, files []syscall.Conn, err error) {
	add := func(name string, socket any) {
		if file, ok := socket.(syscall.Conn); ok {
			names, files = append(names, name), append(files, file)
		} else {
			err = errors.Join(err, fmt.Errorf("%s: a %T cannot be inherited", name, socket))
		}
	}
	for name, l := range s.Listeners {
		add(name, l)
	}
	for name, c := range s.Datagrams {
		add(name, c)
	}
	for _, c := range s.Connections {
		add(connectionName, c)
	}
	return names, files, err
}

// listenVariables returns the environment by which a process finds the descriptors.
func listenVariables(names []string) []string {
	return []string{
		"LISTEN_PID=" + strconv.Itoa(os.Getpid()),
		"LISTEN_FDS=" + strconv.Itoa(len(names)),
		"LISTEN_FDNAMES=" + strings.Join(names, ":"),
	}
}
