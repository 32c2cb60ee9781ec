package config

import (
	"errors"
	"net/netip"
	"strings"
)

// parseHost returns the host of a listen address, without the brackets of IPv6. Digits and
// dots that are not an address are a mistyped address, not a name.
func parseHost(text string) (string, error) {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	lower := strings.ToLower(text)
	inner, bracketed := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	addr, err := netip.ParseAddr(inner)
	switch {
	case bracketed == closed && err == nil && (!bracketed || addr.Is6()):
		return inner, nil
	case text == "", strings.Trim(lower, letters+"0123456789-_.") == "" && strings.ContainsAny(lower, letters):
		return text, nil
	}
	return "", errors.New("an IP address or a host name of this machine is needed, such as 127.0.0.1, without a port, which PORT sets; empty is all addresses")
}
