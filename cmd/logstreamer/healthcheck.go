package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/certificate"
	"github.com/logstreamer/logstreamer/internal/config"
)

// healthcheckTimeout bounds one probe.
const healthcheckTimeout = 3 * time.Second

// healthcheckConfig is what is probed; the tags are those of package config.
type healthcheckConfig struct {
	Port int    `env:"PORT" format:"port" help:"port to probe on this machine when no URL is given"`
	Host string `env:"LISTEN_ADDR" format:"host" help:"address to probe instead of localhost"`
	// TLS is the distributor's own.
	Cert string `env:"TLS_CERT" help:"the distributor's certificate; probes with https, and presents it (default: http)"`
	Key  string `env:"TLS_KEY" help:"PEM file of the certificate's key"`
}

// client returns what probes a listener of this machine: with its own certificate, if it
// has one. The name in that is not the address that is probed, so it is not verified.
func (c healthcheckConfig) client() (base string, transport *http.Transport, err error) {
	transport = new(http.Transport) // no proxy: the probe is about this address
	if c.Cert == "" {
		return "http://" + c.dialAddress(), transport, nil
	}
	if err := (certificate.Config{Cert: c.Cert, Key: c.Key}).Validate(""); err != nil {
		return "", nil, err
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return "", nil, fmt.Errorf("TLS_CERT is %q and TLS_KEY is %q: they must be a certificate and its key in PEM: %w", c.Cert, c.Key, err)
	}
	transport.TLSClientConfig = &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
	}
	return "https://" + c.dialAddress(), transport, nil
}

// healthcheckCommand probes a role from within its container, which has no
// other program.
func healthcheckCommand(p process) *ffcli.Command {
	var explicit string
	c := newCommand(p, ffcli.Command{
		Name:       "healthcheck",
		ShortUsage: "logstreamer healthcheck [flags] [URL]",
		ShortHelp:  "exit with 0 when a distributor (/readyz), an analyzer (/health) or the URL answers 2xx, else with 1",
	}, newLoader(p, healthcheckConfig{Port: 8080}), func(ctx context.Context, loaded *config.Loaded[healthcheckConfig]) error {
		if explicit != "" {
			return probe(ctx, new(http.Transport), explicit).failure()
		}
		base, transport, err := loaded.Config.client()
		if err != nil {
			return err
		}
		response := probe(ctx, transport, base+"/readyz")
		if response.status == http.StatusNotFound {
			response = probe(ctx, transport, base+"/health") // an analyzer has no /readyz
		}
		return response.failure()
	})
	execWithoutArgs := c.Exec
	c.Exec = func(ctx context.Context, args []string) error {
		if len(args) == 1 {
			explicit, args = args[0], nil
			if err := checkURL(explicit); err != nil {
				return usageError{err}
			}
		}
		return execWithoutArgs(ctx, args)
	}
	return c
}

func checkURL(text string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "" {
		return fmt.Errorf("the URL must be such as http://localhost:8080/readyz")
	}
	return nil
}

// dialAddress returns the address that reaches a listener.
func (c healthcheckConfig) dialAddress() string {
	name := c.Host
	if addr, err := netip.ParseAddr(name); name == "" || err == nil && addr.Unmap().IsUnspecified() {
		name = "localhost"
	}
	return net.JoinHostPort(name, strconv.Itoa(c.Port))
}

type probeResult struct {
	url    string
	status int
	err    error
}

func probe(ctx context.Context, transport *http.Transport, at string) probeResult {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return probeResult{url: at, err: err}
	}
	request.Close = true
	response, err := transport.RoundTrip(request)
	if err != nil {
		return probeResult{url: at, err: err}
	}
	return probeResult{at, response.StatusCode, response.Body.Close()}
}

func (p probeResult) failure() error {
	switch {
	case errors.Is(p.err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no response within %v", redacted(p.url), healthcheckTimeout)
	case p.err != nil:
		return fmt.Errorf("%s: %w", redacted(p.url), p.err)
	case p.status < 200 || p.status > 299:
		return fmt.Errorf("%s: answered %d", redacted(p.url), p.status)
	default:
		return nil
	}
}

// redacted returns the URL without its password.
func redacted(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return "the URL"
	}
	return parsed.Redacted()
}
