package http1

import (
	"bytes"
	"net/netip"
	"strconv"
)

// checkTarget accepts the four forms of RFC 9112 section 3.2.
func checkTarget(method, target []byte) error {
	if len(target) == 0 || !all(target, targetByte) {
		return malformed("the request target has a character that is not allowed in one, or is empty")
	}
	switch {
	case string(method) == "CONNECT":
		if !isHost(target) || !hasPort(target) {
			return malformed("the request target of CONNECT is not a host with a port")
		}
	case target[0] == '/':
	case string(target) == "*":
		if string(method) != "OPTIONS" {
			return malformed("the request target * is for OPTIONS alone")
		}
	default:
		authority, ok := authorityOf(target)
		if !ok || !isHost(authority) {
			return malformed("the request target is neither a path nor an http URL with a host")
		}
	}
	return nil
}

// authorityOf returns the authority of an http or https URL.
func authorityOf(target []byte) (authority []byte, ok bool) {
	scheme, rest, found := bytes.Cut(target, []byte("://"))
	if !found || !Is(scheme, "http") && !Is(scheme, "https") {
		return nil, false
	}
	if end := bytes.IndexAny(rest, "/?"); end >= 0 {
		rest = rest[:end]
	}
	return rest, true
}

// isHost reports whether a text is uri-host [ ":" port ] of RFC 3986 with a host
// that is not empty.
func isHost(text []byte) bool {
	host, port := text, []byte(nil)
	if end := bytes.LastIndexByte(text, ':'); end >= 0 && bytes.IndexByte(text[end:], ']') < 0 {
		host, port = text[:end], text[end+1:]
		if !isPort(port) {
			return false
		}
	}
	if len(host) == 0 {
		return false
	}
	if host[0] == '[' {
		return isIPv6(host)
	}
	return isName(host)
}

// hasPort reports whether a text that isHost accepts has a port that is not empty, as
// CONNECT needs it (RFC 9110 section 9.3.6).
func hasPort(text []byte) bool {
	end := bytes.LastIndexByte(text, ':')
	return end >= 0 && end < len(text)-1 && bytes.IndexByte(text[end:], ']') < 0
}

// isPort accepts an empty one, as RFC 3986 does.
func isPort(port []byte) bool {
	if len(port) == 0 {
		return true
	}
	_, err := strconv.ParseUint(string(port), 10, 16)
	return err == nil
}

func isIPv6(host []byte) bool {
	if len(host) < 2 || host[len(host)-1] != ']' {
		return false
	}
	address, err := netip.ParseAddr(string(host[1 : len(host)-1]))
	return err == nil && address.Is6() && address.Zone() == ""
}

func isName(host []byte) bool {
	for i := 0; i < len(host); i++ {
		if host[i] == '%' {
			if i+2 >= len(host) || !all(host[i+1:i+3], hexByte) {
				return false
			}
			i += 2
		} else if classes[host[i]]&nameByte == 0 {
			return false
		}
	}
	return true
}
