package main

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// port is the port of a listening address.
type port struct{ to *string }

func (v port) String() string {
	if v.to == nil {
		return ""
	}
	_, port, _ := net.SplitHostPort(*v.to)
	return port
}

func (v port) Set(text string) error {
	number, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil {
		return errors.New("a port from 0 to 65535 is needed")
	}
	*v.to = net.JoinHostPort(host(v).String(), strconv.FormatUint(number, 10))
	return nil
}

// host is the host of a listening address; empty for all addresses.
type host struct{ to *string }

func (v host) String() string {
	if v.to == nil {
		return ""
	}
	host, _, _ := net.SplitHostPort(*v.to)
	return host
}

func (v host) Set(text string) error {
	name, ok := listenHost(strings.TrimSpace(text))
	if !ok {
		return errors.New("an IP address or a host name of this machine is needed, such as 127.0.0.1, without a port, which PORT sets; empty is all addresses")
	}
	*v.to = net.JoinHostPort(name, port(v).String())
	return nil
}

// listenHost returns a host without the brackets of IPv6, and whether it can be
// one. A name of digits and dots that is no address would be a mistyped address.
func listenHost(text string) (name string, ok bool) {
	if inner, found := strings.CutPrefix(text, "["); found && strings.HasSuffix(inner, "]") {
		text = strings.TrimSuffix(inner, "]")
		addr, err := netip.ParseAddr(text)
		return text, err == nil && addr.Is6()
	}
	if _, err := netip.ParseAddr(text); err == nil || text == "" {
		return text, true
	}
	const letters = "abcdefghijklmnopqrstuvwxyz"
	lower := strings.ToLower(text)
	return text, strings.Trim(lower, letters+"0123456789-_.") == "" && strings.ContainsAny(lower, letters)
}

// analyzerHost is a host of its own, beside a port.
type analyzerHost struct{ to *string }

func (v analyzerHost) String() string { return words(v).String() }

func (v analyzerHost) Set(text string) error {
	listen := ":0"
	if err := (host{&listen}).Set(text); err != nil {
		return err
	}
	*v.to = host{&listen}.String()
	return nil
}
