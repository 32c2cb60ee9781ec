package emitter

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/logstreamer/logstreamer/internal/certificate"
)

// target is one distributor.
type target struct {
	// name is host:port, by which an emitter orders its targets: see docs/sharding.md.
	name    string
	url     string
	address string
	host    string
	// tls is nil for http.
	tls    *certificate.Client
	outage outage

	// failing is set from a failure until a packet is accepted, and heldUntil is when the next
	// packet may try the target. targets.mu guards both.
	failing   bool
	heldUntil time.Time
}

// dnsPrefix begins the scheme of a URL whose host's addresses are all targets.
const dnsPrefix = "dns+"

// defaultPath is the path of a target that has none.
const defaultPath = "/ingest"

// parseTargets splits the setting: URLs of http or https, separated by commas, or one of
// dns+http or dns+https. A URL without a path gets that of the distributor's API.
func parseTargets(setting string) (urls []*url.URL, dns bool, err error) {
	for text := range strings.SplitSeq(setting, ",") {
		rest, isDNS := strings.CutPrefix(strings.TrimSpace(text), dnsPrefix)
		u, err := url.Parse(rest)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return nil, false, fmt.Errorf("%q is not allowed: it must be a URL such as http://localhost:8080/ingest or https://host/ingest, several of them with commas, or dns+http://host:8080/ingest", setting)
		}
		if strings.Trim(u.Path, "/") == "" {
			u.Path = defaultPath
		}
		for _, other := range urls {
			if authority(u) == authority(other) {
				return nil, false, fmt.Errorf("%q is not allowed: it names %s twice", setting, authority(u))
			}
		}
		urls, dns = append(urls, u), dns || isDNS
	}
	if dns && len(urls) > 1 {
		return nil, false, fmt.Errorf("%q is not allowed: a %s URL must be the only one", setting, dnsPrefix+"http")
	}
	return urls, dns, nil
}

// authority returns host:port in lower case, with the port also where it is the default.
func authority(u *url.URL) string { return net.JoinHostPort(strings.ToLower(u.Hostname()), portOf(u)) }

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// newTarget returns the target of a URL, at the given address or, if that is not valid, at
// the address of its host.
func newTarget(u *url.URL, at netip.Addr, tls *certificate.Client, logger *slog.Logger) *target {
	t := &target{name: authority(u), url: u.String(), host: u.Hostname()}
	if at.IsValid() {
		t.name = net.JoinHostPort(at.Unmap().String(), portOf(u))
	}
	t.address = t.name
	if u.Scheme == "https" {
		t.tls = tls
	}
	t.outage.logger = logger.With("target", t.name)
	return t
}
