package admin

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// hostAllowed reports whether a Host field is allowed. It refuses names that DNS rebinding may have
// pointed to this address.
func hostAllowed(field string, names []string) bool {
	host := hostName(field)
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Zone() == ""
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(names, host)
}

// hostName returns the name or the address of a Host field, without its port.
func hostName(field string) string {
	host := field
	if name, _, err := net.SplitHostPort(field); err == nil {
		host = name
	} else if inner, ok := strings.CutPrefix(field, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
