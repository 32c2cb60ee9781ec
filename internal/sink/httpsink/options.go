package httpsink

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/logstreamer/logstreamer/internal/sink"
)

// Options are the query of an analyzer's URL. The methods that read them collect errors, so
// that a backend reads all and Parse reports all.
type Options struct {
	values url.Values
	read   []string
	errs   []error
}

// Parse returns a kind of backend with the options of an endpoint. An option that nothing
// reads is an error.
func Parse(endpoint sink.Endpoint, read func(*Options) Backend) (Backend, error) {
	o := &Options{values: endpoint.Options}
	b := read(o)
	b.tokenFile = o.Text("token_file", "")
	if !b.Compressed {
		b.gzip = o.Choice("gzip", "off", "on") == "on"
	}
	for name := range o.values {
		if !slices.Contains(o.read, name) {
			slices.Sort(o.read)
			o.failf("there is no option %q: there are %s", name, strings.Join(o.read, ", "))
		}
	}
	if len(o.errs) > 0 {
		return Backend{}, fmt.Errorf("ANALYZERS: %s: %w", endpoint, errors.Join(o.errs...))
	}
	return b, nil
}

func (o *Options) failf(format string, args ...any) {
	o.errs = append(o.errs, fmt.Errorf(format, args...))
}

// List returns all values of an option.
func (o *Options) List(name string) []string {
	o.read = append(o.read, name)
	return o.values[name]
}

// Text returns the value of an option, or a default without it.
func (o *Options) Text(name, otherwise string) string {
	switch values := o.List(name); {
	case len(values) == 0:
		return otherwise
	case len(values) > 1:
		o.failf("the option %q occurs %d times: it may once", name, len(values))
	case values[0] == "":
		o.failf("the option %q is empty", name)
	}
	return o.values[name][0]
}

// Choice returns the value of an option that must be one of some; the first is the default.
func (o *Options) Choice(name string, choices ...string) string {
	value := o.Text(name, choices[0])
	if !slices.Contains(choices, value) {
		o.failf("the option %q is %q: it must be one of %s", name, value, strings.Join(choices, ", "))
	}
	return value
}

// Matching returns the value of an option, which must consist of 1 to 255 of the allowed
// characters.
func (o *Options) Matching(name, otherwise, allowed string) string {
	value := o.Text(name, otherwise)
	if len(value) > 255 || strings.ContainsFunc(value, func(r rune) bool { return !strings.ContainsRune(allowed, r) }) {
		o.failf("the option %q is %q: it must be of at most 255 of %s", name, value, allowed)
	}
	return value
}

// Fail adds an error about an option.
func (o *Options) Fail(name, problem string) { o.failf("the option %q %s", name, problem) }
