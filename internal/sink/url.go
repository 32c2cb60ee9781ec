package sink

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The kinds of backends, which are schemes of URLs before +http and +https.
const (
	Native        = "" // an analyzer: plain http and https
	OTLP          = "otlp"
	Loki          = "loki"
	Elasticsearch = "es"
	VictoriaLogs  = "vlogs"
	ClickHouse    = "clickhouse"
	SplunkHEC     = "hec"
)

// Kinds returns the kinds of backends, without Native.
func Kinds() []string {
	return []string{OTLP, Loki, Elasticsearch, VictoriaLogs, ClickHouse, SplunkHEC}
}

// Endpoint is the parsed URL of an analyzer.
type Endpoint struct {
	// Kind is Native or one of Kinds.
	Kind string
	// Base is the http or https URL, without a query.
	Base *url.URL
	// Options are the query, which Native does not have.
	Options url.Values
}

// String returns the URL without the options, which may contain a secret by mistake.
func (e Endpoint) String() string {
	if e.Kind == Native {
		return e.Base.String()
	}
	return e.Kind + "+" + e.Base.String()
}

// WithoutUser returns text with everything before its last @ redacted, except a known scheme.
func WithoutUser(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	scheme, _, found := strings.Cut(text, "://")
	if _, known := cutKind(scheme); !known || !found {
		return "xxxxx" + text[at:]
	}
	return scheme + "://xxxxx" + text[at:]
}

// cutKind returns the kind of backend of a scheme, and whether the scheme is known.
func cutKind(scheme string) (kind string, known bool) {
	kind, transport, found := strings.Cut(scheme, "+")
	if !found {
		kind, transport = Native, scheme
	}
	return kind, (transport == "http" || transport == "https") && (!found || slices.Contains(Kinds(), kind))
}

// HasTLS reports whether the URL of an analyzer has a scheme with TLS.
func HasTLS(text string) bool {
	scheme, _, _ := strings.Cut(strings.ToLower(text), ":")
	return scheme == "https" || strings.HasSuffix(scheme, "+https")
}

// HostPort returns the address of a http or https URL, with the default port of its scheme.
func HostPort(base *url.URL) string {
	if base.Port() != "" {
		return base.Host
	}
	if base.Scheme == "https" {
		return net.JoinHostPort(base.Hostname(), "443")
	}
	return net.JoinHostPort(base.Hostname(), "80")
}

// ParseURL parses the URL of an analyzer. The options are not checked.
func ParseURL(text string) (Endpoint, error) {
	if strings.Contains(text, "@") {
		return Endpoint{}, fmt.Errorf("ANALYZERS: %q: an analyzer's URL must have no user or password (an @ in its path is written %%40)", WithoutUser(text))
	}
	if strings.Count(text, "://") > 1 {
		return Endpoint{}, fmt.Errorf("ANALYZERS: %q is more than one URL: analyzers are separated by commas", text)
	}
	base, err := url.Parse(text)
	if err != nil {
		var failed *url.Error // whose text has all of the URL
		if errors.As(err, &failed) {
			err = failed.Err
		}
		place, _, _ := strings.Cut(text, "?")
		return Endpoint{}, fmt.Errorf("ANALYZERS: %q is no URL: %w", place, err)
	}
	kind, known := cutKind(base.Scheme)
	if !known || base.Hostname() == "" {
		return Endpoint{}, fmt.Errorf("ANALYZERS: %q must look like http://host:port; other schemes are %s, each +http or +https",
			withoutQuery(base), strings.Join(Kinds(), ", "))
	}
	options, err := url.ParseQuery(base.RawQuery)
	if err != nil {
		return Endpoint{}, fmt.Errorf("ANALYZERS: %q has options that are no query: %w", withoutQuery(base), err)
	}
	if kind == Native && base.RawQuery != "" || base.Fragment != "" {
		return Endpoint{}, fmt.Errorf("ANALYZERS: %q must have no query or fragment", withoutQuery(base))
	}
	if !isHost(base.Hostname()) {
		return Endpoint{}, fmt.Errorf("ANALYZERS: %q: the host %q must be an address, or a name of letters, digits, '-', '_' and '.'", withoutQuery(base), base.Hostname())
	}
	if !isPort(base.Port()) {
		return Endpoint{}, fmt.Errorf("ANALYZERS: %q: the port must be 1 to 65535", withoutQuery(base))
	}
	plain := *base
	plain.Scheme = strings.TrimPrefix(base.Scheme, kind+"+")
	plain.RawQuery, plain.ForceQuery = "", false
	return Endpoint{kind, &plain, options}, nil
}

// withoutQuery returns a URL without what may contain a secret.
func withoutQuery(base *url.URL) string {
	plain := url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path, Opaque: base.Opaque}
	return plain.String()
}

func isHost(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	const allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
	return strings.Trim(text, allowed) == ""
}

// isPort accepts an empty port, the default of the scheme.
func isPort(text string) bool {
	number, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil && number > 0
}
