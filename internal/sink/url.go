package sink

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// WithoutUser returns text with everything before its last @ redacted, except an http or
// https scheme.
func WithoutUser(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	scheme := ""
	for _, known := range []string{"http://", "https://"} {
		if strings.HasPrefix(text, known) {
			scheme = known
		}
	}
	return scheme + "xxxxx" + text[at:]
}

// ParseURL parses the base URL of an analyzer.
func ParseURL(text string) (*url.URL, error) {
	if strings.Contains(text, "@") {
		return nil, fmt.Errorf("ANALYZERS: %q: an analyzer's URL must have no user or password (an @ in its path is written %%40)", WithoutUser(text))
	}
	if strings.Count(text, "://") > 1 {
		return nil, fmt.Errorf("ANALYZERS: %q is more than one URL: analyzers are separated by commas", text)
	}
	base, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("ANALYZERS: %q is no URL: %w", text, err)
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Hostname() == "" {
		return nil, fmt.Errorf("ANALYZERS: %q must look like http://host:port", text)
	}
	if base.RawQuery != "" || base.Fragment != "" {
		plain := url.URL{Scheme: base.Scheme, Host: base.Host, Path: base.Path} // the query may contain a secret
		return nil, fmt.Errorf("ANALYZERS: %q must have no query or fragment", plain.String())
	}
	if !isHost(base.Hostname()) {
		return nil, fmt.Errorf("ANALYZERS: %q: the host %q must be an address, or a name of letters, digits, '-', '_' and '.'", text, base.Hostname())
	}
	if !isPort(base.Port()) {
		return nil, fmt.Errorf("ANALYZERS: %q: the port must be 1 to 65535", text)
	}
	return base, nil
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
