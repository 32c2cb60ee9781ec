package distributor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// listenAddress returns the address of the ingest API.
func (c Config) listenAddress() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// validateAddresses validates the listen addresses and that they do not conflict.
func (c Config) validateAddresses() error {
	if err := validateAddress(c.MetricsListen); err != nil {
		return fmt.Errorf("METRICS_ADDR is %q: %w", c.MetricsListen, err)
	}
	if !conflict(c.listenAddress(), c.MetricsListen) {
		return nil
	}
	keys := "PORT"
	if c.Host != "" {
		keys = "LISTEN_ADDR with PORT"
	}
	free := ":9100"
	if conflict(c.listenAddress(), free) {
		free = ":9101"
	}
	return fmt.Errorf("METRICS_ADDR is %q and %s is %q: they must differ in the port, such as METRICS_ADDR=%s, or be two addresses of this machine",
		c.MetricsListen, keys, strings.TrimPrefix(c.listenAddress(), ":"), free)
}

// listenKey returns the name of the setting that causes a listen error of the ingest API.
func listenKey(err error) string {
	var unknown *net.DNSError
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.As(err, &unknown) {
		return "LISTEN_ADDR"
	}
	return "PORT"
}

func validateAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("it must be host:port or :port: %w", err)
	}
	if number, err := strconv.Atoi(port); err != nil || number < 0 || number > 65535 {
		return fmt.Errorf("the port must be 0 to 65535")
	}
	return nil
}

// conflict reports whether two valid addresses cannot both be listened on. An unspecified IP
// address means all IPv4 and IPv6 addresses of the machine.
func conflict(a, b string) bool {
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	numberA, _ := strconv.Atoi(portA)
	numberB, _ := strconv.Atoi(portB)
	if numberA != numberB || numberA == 0 {
		return false
	}
	addrA, allA := listenHost(hostA)
	addrB, allB := listenHost(hostB)
	return allA || allB || addrA == addrB
}

// listenHost returns the normalized host, and whether it means all addresses.
func listenHost(host string) (text string, all bool) {
	host = strings.ToLower(host)
	if host == "localhost" {
		host = "127.0.0.1" // as net.Listen resolves it
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host, host == ""
	}
	return addr.Unmap().String(), addr.Unmap().IsUnspecified()
}
