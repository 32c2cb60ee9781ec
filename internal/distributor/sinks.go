package distributor

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/discovery"
	"github.com/logstreamer/logstreamer/internal/filewatch"
	"github.com/logstreamer/logstreamer/internal/sink"
	"github.com/logstreamer/logstreamer/internal/sink/clickhouse"
	"github.com/logstreamer/logstreamer/internal/sink/elasticsearch"
	"github.com/logstreamer/logstreamer/internal/sink/hec"
	"github.com/logstreamer/logstreamer/internal/sink/httpsink"
	"github.com/logstreamer/logstreamer/internal/sink/loki"
	"github.com/logstreamer/logstreamer/internal/sink/native"
	"github.com/logstreamer/logstreamer/internal/sink/otlp"
	"github.com/logstreamer/logstreamer/internal/sink/vlogs"
)

// backend is the backend that the URL of an analyzer describes.
type backend struct {
	endpoint sink.Endpoint
	http     httpsink.Backend // set unless the kind is sink.Native
}

// backend parses the URL of the analyzer, with its options. The backend of a group is that of each
// member.
func (t Target) backend() (b backend, err error) {
	_, isGroup, err := t.group()
	if err != nil {
		return backend{}, fmt.Errorf("ANALYZERS: %w", err)
	}
	text := t.URL
	if isGroup {
		_, text, _ = discovery.Cut(t.URL)
	}
	if b.endpoint, err = sink.ParseURL(text); err != nil {
		return backend{}, err
	}
	if b.endpoint.Kind != sink.Native {
		b.http, err = httpsink.Parse(b.endpoint, httpBackends[b.endpoint.Kind])
	}
	return b, err
}

// via returns the field of the response to a probe by which other distributors, and this one, detect
// that packets would go round.
func (d *Distributor) via() (name, value string) {
	var gateways []*native.Sink
	for _, a := range d.present() {
		if a.native != nil {
			gateways = append(gateways, a.native)
		}
	}
	return native.Via(d.credentials.pseudonym, gateways)
}

// httpBackends describe the backends of each kind.
var httpBackends = map[string]func(*httpsink.Options) httpsink.Backend{
	sink.OTLP:          otlp.Backend,
	sink.Loki:          loki.Backend,
	sink.Elasticsearch: elasticsearch.Backend,
	sink.VictoriaLogs:  vlogs.Backend,
	sink.ClickHouse:    clickhouse.Backend,
	sink.SplunkHEC:     hec.Backend,
}

// sendsOTLP reports whether an analyzer accepts OTLP, for which packets keep their origins.
func (d *Distributor) sendsOTLP() bool { return slices.ContainsFunc(d.present(), running.takesOTLP) }

// sendsOnlyOTLP reports whether all analyzers accept OTLP, so that packets with origins need no
// body.
func (d *Distributor) sendsOnlyOTLP() bool {
	return !slices.ContainsFunc(d.present(), func(a running) bool { return !a.takesOTLP() })
}

func (a running) takesOTLP() bool { return strings.HasPrefix(a.target.URL, sink.OTLP+"+") }

// authorization is the source of the Authorization field of an analyzer.
type authorization struct{ path, scheme string }

// authorization returns the zero value if the analyzer has none.
func (b backend) authorization() authorization {
	if b.http.TokenFile() == "" {
		return authorization{}
	}
	return authorization{b.http.TokenFile(), b.http.Scheme()}
}

// sink returns the sink of an analyzer, whose host a resolver finds, and its TLS, nil if it has none.
func (c *credentials) sink(t Target, fallback certificate.ClientConfig, resolver *net.Resolver, logger *slog.Logger) (sink.Sink, *clientTLS, error) {
	client, err := c.analyzer(t, fallback)
	if err != nil {
		return nil, nil, err
	}
	if client == nil {
		way, err := c.sinkOver(nil, t, resolver, logger)
		return way, nil, err
	}
	own := new(clientTLS)
	own.current.Store(client)
	way, err := c.sinkOver(own.config, t, resolver, logger)
	return way, own, err
}

func (c *credentials) sinkOver(secure func(host string) *tls.Config, t Target, resolver *net.Resolver, logger *slog.Logger) (sink.Sink, error) {
	b, err := t.backend()
	if err != nil {
		return nil, err
	}
	if b.endpoint.Kind == sink.Native {
		way := native.New(b.endpoint.Base, native.DialBy(resolver), secure, logger)
		way.DetectLoops(c.pseudonym)
		return way, nil
	}
	deps := httpsink.Dependencies{Dial: (&net.Dialer{Resolver: resolver}).DialContext, TLS: secure, Logger: logger}
	if deps.Authorization, err = c.authorization(t, b.authorization()); err != nil {
		return nil, err
	}
	return httpsink.New(b.endpoint.Base, b.http, deps), nil
}

// authorization returns a function that returns the Authorization field of an analyzer, or nil. Its
// file is watched once, until keep.
func (c *credentials) authorization(t Target, from authorization) (func() string, error) {
	if from == (authorization{}) {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if file := c.authorizations[from]; file != nil {
		return file.Value, nil
	}
	source := filewatch.Source{Key: t.tlsPrefix() + "token_file", Path: from.path}
	file, err := filewatch.Watch(c.files, "analyzer_token", []filewatch.Source{source}, func(contents [][]byte) (string, error) {
		value, err := httpsink.Authorization(contents[0], from.scheme)
		if err != nil {
			return "", source.Errorf("%w", err)
		}
		return value, nil
	})
	if err != nil {
		return nil, err
	}
	c.authorizations[from] = file
	return file.Value, nil
}

// Token is a file with credentials, and the URL that they are sent to.
type Token struct{ File, Place string }

// Token returns the zero value if the analyzer has none.
func (t Target) Token() Token {
	b, err := t.backend()
	if err != nil || b.http.TokenFile() == "" {
		return Token{}
	}
	place, _, _ := strings.Cut(placeOf(t.URL), "?")
	return Token{b.http.TokenFile(), place}
}
