package distributor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/logstreamer/logstreamer/internal/protocol/datadog"
	"github.com/logstreamer/logstreamer/internal/protocol/elasticsearch"
	"github.com/logstreamer/logstreamer/internal/protocol/gelf"
	"github.com/logstreamer/logstreamer/internal/protocol/hec"
	"github.com/logstreamer/logstreamer/internal/protocol/loki"
	"github.com/logstreamer/logstreamer/internal/protocol/otlp"
	"github.com/logstreamer/logstreamer/internal/protocol/receiver"
)

// InputHTTP is the input of all protocols over HTTP on the ingest port.
const InputHTTP = "http"

// Input is a protocol with its listen address.
type Input struct {
	Name string
	// Address is the listen address, host:port; empty for InputHTTP.
	Address string
}

// Inputs are the inputs of the configuration.
type Inputs []Input

// inputKinds are the supported inputs.
var inputKinds = []inputKind{
	{name: InputHTTP},
	{name: "otlp-grpc", address: ":4317", serve: serveOTLP},
	{name: "forward", address: ":24224", serve: serveForward},
	{name: "otlp-http", address: ":4318", http: func(_ *Distributor, r *receiver.Receiver) receiver.HTTP { return otlp.NewHTTP(r) }},
	{name: "syslog-udp", address: ":5514", udp: true, plain: true, anonymous: true, serve: serveSyslog},
	{name: "syslog-tcp", address: ":5514", plain: true, anonymous: true, serve: serveSyslog},
	{name: "syslog-tls", address: ":6514", tls: true, anonymous: true, serve: serveSyslog},
	{name: "gelf-udp", address: ":12201", udp: true, plain: true, anonymous: true, serve: serveGELF},
	{name: "gelf-tcp", address: ":12201", anonymous: true, serve: serveGELF},
	{name: "loki", address: ":3100", http: func(_ *Distributor, r *receiver.Receiver) receiver.HTTP { return loki.New(r) }},
	{name: "hec", address: ":8088", http: func(_ *Distributor, r *receiver.Receiver) receiver.HTTP { return hec.New(r) }},
	{name: "datadog", http: func(_ *Distributor, r *receiver.Receiver) receiver.HTTP { return datadog.New(r) }},
	{name: "gelf-http", http: func(_ *Distributor, r *receiver.Receiver) receiver.HTTP { return gelf.New(r) }},
	{name: "elasticsearch", address: ":9200", http: elasticsearchInput, onPort: elasticsearchOnPort},
}

// inputKind is an input that can be configured.
type inputKind struct {
	name string
	// address is the default of Input.Address.
	address string
	// udp means that the socket is not a TCP listener.
	udp bool
	// tls means that the protocol needs TLS_CERT; plain that it never uses TLS.
	tls, plain bool
	// anonymous means that the protocol cannot carry a token: with tokens it needs client
	// certificates.
	anonymous bool
	// http, unless nil, returns a protocol over HTTP, which InputHTTP serves as well. A protocol
	// without an address has no listener of its own, and cannot be configured.
	http func(*Distributor, *receiver.Receiver) receiver.HTTP
	// onPort, unless nil, returns the protocol as InputHTTP serves it.
	onPort func(*Distributor, *receiver.Receiver) receiver.HTTP
	// serve, unless nil, serves the socket of another protocol.
	serve func(*Distributor, *receiver.Receiver, inputSocket) stopper
}

// stopper serves an input until Stop, which completes the requests in progress until ctx ends.
type stopper interface {
	Stop(ctx context.Context) error
}

// inputSocket is the socket of an input: a listener, or a socket of packets.
type inputSocket struct {
	listener net.Listener
	packets  net.PacketConn
	plain    bool // without TLS
}

func (i Input) kind() inputKind {
	kind, _ := kindOf(i.Name)
	return kind
}

func kindOf(name string) (inputKind, bool) {
	at := slices.IndexFunc(inputKinds, func(k inputKind) bool { return k.name == name && k.isConfigured() })
	if at < 0 {
		return inputKind{}, false
	}
	return inputKinds[at], true
}

// inputNames returns the names of all inputs.
func inputNames() (names []string) {
	for _, k := range inputKinds {
		if k.isConfigured() {
			names = append(names, k.name)
		}
	}
	return names
}

// ListeningInputs returns the names of inputs with a listener of their own, and of those with a
// socket of datagrams.
func ListeningInputs() (listeners, datagrams []string) {
	for _, k := range inputKinds {
		switch {
		case k.udp:
			datagrams = append(datagrams, k.name)
		case k.address != "":
			listeners = append(listeners, k.name)
		}
	}
	return listeners, datagrams
}

// isConfigured reports whether INPUTS may have the name.
func (k inputKind) isConfigured() bool { return k.http == nil || k.address != "" }

func elasticsearchInput(d *Distributor, r *receiver.Receiver) receiver.HTTP {
	return elasticsearch.New(d.Config().Elasticsearch, r)
}

func elasticsearchOnPort(d *Distributor, r *receiver.Receiver) receiver.HTTP {
	return elasticsearch.Shared{Protocol: elasticsearch.New(d.Config().Elasticsearch, r)}
}

// String returns the inputs as UnmarshalText parses them.
func (i Inputs) String() string {
	var parts []string
	for _, one := range i {
		part := one.Name
		if one.Address != "" {
			part += "=" + one.Address
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}

// UnmarshalText parses NAME,NAME=ADDRESS,…; an input without an address has its default port.
func (i *Inputs) UnmarshalText(text []byte) error {
	var inputs Inputs
	for part := range strings.SplitSeq(string(text), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, address, given := strings.Cut(part, "=")
		kind, known := kindOf(strings.TrimSpace(name))
		switch {
		case !known:
			return fmt.Errorf("%q is no input: there are %s", name, strings.Join(inputNames(), ", "))
		case given && kind.address == "":
			return fmt.Errorf("%q must have no address: it is on PORT", part)
		case !given:
			address = kind.address
		}
		inputs = append(inputs, Input{kind.name, strings.TrimSpace(address)})
	}
	*i = inputs
	return nil
}

// has reports whether an input is configured.
func (i Inputs) has(name string) bool {
	return slices.ContainsFunc(i, func(one Input) bool { return one.Name == name })
}

// validateInputs validates the addresses, and that no two inputs conflict.
func (c Config) validateInputs() error {
	taken := []Input{{"PORT", c.listenAddress()}, {"METRICS_ADDR", c.MetricsListen}}
	var datagrams []Input
	var errs []error
	for n, one := range c.Inputs {
		kind := one.kind()
		if c.Inputs[:n].has(one.Name) {
			errs = append(errs, fmt.Errorf("INPUTS has %s twice: each must be there once", one.Name))
			continue
		}
		if one.Address == "" {
			continue
		}
		if err := validateAddress(one.Address); err != nil {
			errs = append(errs, fmt.Errorf("INPUTS has %s=%s: %w", one.Name, one.Address, err))
			continue
		}
		if kind.tls && !c.TLS.Enabled() {
			errs = append(errs, fmt.Errorf("INPUTS has %s: it needs TLS_CERT and TLS_KEY", one.Name))
		}
		if kind.anonymous && c.TokensFile != "" && (kind.plain || c.TLS.ClientCA == "") {
			errs = append(errs, fmt.Errorf("INPUTS has %s: its senders have no token, so that with INGEST_TOKENS_FILE it must be an input over TLS, with TLS_CLIENT_CA", one.Name))
		}
		others := &taken
		if kind.udp {
			others = &datagrams
		}
		for _, other := range *others {
			if conflict(one.Address, other.Address) {
				errs = append(errs, fmt.Errorf("INPUTS has %s=%s, and %s is %s: they must differ in the port", one.Name, one.Address, other.Name, other.Address))
			}
		}
		*others = append(*others, one)
	}
	return errors.Join(errs...)
}
