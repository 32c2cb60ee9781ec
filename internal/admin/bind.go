package admin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/control"
	"github.com/logstreamer/logstreamer/internal/filewatch"
)

// socketMode lets the owner and the group of the process connect.
const socketMode = 0o660

// Listen returns the listener that the settings describe: the inherited one, if it is not nil,
// or a new one. It returns nil if the admin API is off. It refuses a listener that others can
// reach if there is no credential.
func Listen(config control.AdminConfig, inherited net.Listener) (net.Listener, error) {
	if config.Addr == control.Off {
		return nil, nil
	}
	l, err := inherited, error(nil)
	if path, isPath := config.UnixPath(); l == nil && isPath {
		l, err = listenUnix(path)
	} else if l == nil {
		l, err = net.Listen("tcp", config.Addr)
	}
	if err != nil {
		return nil, fmt.Errorf("ADMIN_ADDR: %w", err)
	}
	if config.Token == "" && config.TokensFile == "" && config.ClientCA == "" && !isLocal(l.Addr()) {
		return nil, errors.Join(fmt.Errorf(
			"ADMIN_ADDR: others can reach %v: set ADMIN_TOKEN, ADMIN_TOKENS_FILE or ADMIN_TLS_CLIENT_CA, or use 127.0.0.1", l.Addr()), l.Close())
	}
	return l, nil
}

// AddressOf returns the address of a listener for logs: the name of a Unix socket is the one in the
// setting, since the kernel reports the name that the socket got first.
func AddressOf(config control.AdminConfig, l net.Listener) string {
	if _, isPath := config.UnixPath(); isPath {
		return config.Addr
	}
	return l.Addr().String()
}

// isLocal reports whether only processes of this machine can connect.
func isLocal(address net.Addr) bool {
	if address.Network() == "unix" {
		return true
	}
	parsed, err := netip.ParseAddrPort(address.String())
	return err == nil && parsed.Addr().Unmap().IsLoopback()
}

// listenUnix returns a listener on a Unix socket. It replaces a socket without a listener, such as
// one that a crash left. The socket is renamed to its path after its mode is set.
func listenUnix(path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode()&fs.ModeSocket == 0:
		return nil, fmt.Errorf("%s must be a socket, or not there, and is %v: move it away", path, info.Mode().Type())
	default:
		if conn, err := net.Dial("unix", path); err == nil {
			return nil, errors.Join(fmt.Errorf("another process listens on %s", path), conn.Close())
		}
	}
	unfinished := path + ".new"
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", unfinished)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Chmod(unfinished, socketMode), os.Rename(unfinished, path)); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the socket was renamed
	return l, nil
}

// TLS returns the TLS of the admin API, or nil for plain HTTP. Clients may present a
// certificate; a browser has a session instead.
func TLS(config control.AdminConfig, store *certificate.Store) (*certificate.Listener, error) {
	files := listenerConfig(config)
	if !files.Enabled() {
		return nil, nil
	}
	return store.Listener(certificate.Admin, "ADMIN_", files, tls.VerifyClientCertIfGiven)
}

func listenerConfig(config control.AdminConfig) certificate.Config {
	return certificate.Config{Cert: config.TLSCert, Key: config.TLSKey, ClientCA: config.ClientCA}
}

// CheckCredentials returns the errors of the files of certificates and tokens.
func CheckCredentials(config control.AdminConfig) error {
	files, err := filewatch.New(slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return err
	}
	store, err := certificate.NewStore(files, nil)
	if err != nil {
		return err
	}
	secure, certificates := TLS(config, store)
	_, tokens := NewAccess(config, files, secure)
	return errors.Join(tokens, certificates)
}
