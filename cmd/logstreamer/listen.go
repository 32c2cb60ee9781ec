package main

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// portValue is the port of a listen address.
type portValue struct{ dst *string }

func (v portValue) String() string {
	if v.dst == nil {
		return ""
	}
	_, number, _ := net.SplitHostPort(*v.dst)
	return number
}

func (v portValue) Set(text string) error {
	number, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil {
		return errors.New("a port from 0 to 65535 is needed")
	}
	*v.dst = net.JoinHostPort(hostValue(v).String(), strconv.FormatUint(number, 10))
	return nil
}

// hostValue is the host of a listen address; empty means all addresses.
type hostValue struct{ dst *string }

func (v hostValue) String() string {
	if v.dst == nil {
		return ""
	}
	name, _, _ := net.SplitHostPort(*v.dst)
	return name
}

func (v hostValue) Set(text string) error {
	name, ok := listenHost(strings.TrimSpace(text))
	if !ok {
		return errors.New("an IP address or a host name of this machine is needed, such as 127.0.0.1, without a port, which PORT sets; empty is all addresses")
	}
	*v.dst = net.JoinHostPort(name, portValue(v).String())
	return nil
}

// listenHost returns a host without the brackets of IPv6, and whether it is
// valid. Digits and dots that are not an address are a mistyped address, not a
// name.
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

// bareHostValue is a host without a port.
type bareHostValue struct{ dst *string }

func (v bareHostValue) String() string { return stringValue(v).String() }

func (v bareHostValue) Set(text string) error {
	listen := ":0"
	if err := (hostValue{&listen}).Set(text); err != nil {
		return err
	}
	*v.dst = hostValue{&listen}.String()
	return nil
}
