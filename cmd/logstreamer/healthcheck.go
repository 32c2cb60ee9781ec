package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"
)

// healthcheckTimeout bounds one probe.
const healthcheckTimeout = 3 * time.Second

// healthcheckCommand probes a role from within its container, which has no
// other program.
func healthcheckCommand(p process) *ffcli.Command {
	listen := ":8080"
	s := newSettings("healthcheck", p)
	s.add(portValue{&listen}, "port", "PORT", "port to probe on this machine when no URL is given")
	s.add(hostValue{&listen}, "listen-addr", "LISTEN_ADDR", "address to probe instead of localhost")
	var explicit string
	c := s.command(ffcli.Command{
		ShortUsage: "logstreamer healthcheck [flags] [URL]",
		ShortHelp:  "exit with 0 when a distributor (/readyz), an analyzer (/health) or the URL answers 2xx, else with 1",
	}, func() error { return checkURL(explicit) }, func(ctx context.Context) error {
		if explicit != "" {
			return probe(ctx, explicit).failure()
		}
		base := "http://" + dialAddress(listen)
		answer := probe(ctx, base+"/readyz")
		if answer.status == http.StatusNotFound {
			answer = probe(ctx, base+"/health") // an analyzer has no /readyz
		}
		return answer.failure()
	})
	execWithoutArgs := c.Exec
	c.Exec = func(ctx context.Context, args []string) error {
		if len(args) == 1 {
			explicit, args = args[0], nil
		}
		return execWithoutArgs(ctx, args)
	}
	return c
}

func checkURL(text string) error {
	if text == "" {
		return nil
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "" {
		return fmt.Errorf("the URL must be such as http://localhost:8080/readyz")
	}
	return nil
}

// dialAddress returns the address that reaches a listener.
func dialAddress(listen string) string {
	name, number, _ := net.SplitHostPort(listen)
	if addr, err := netip.ParseAddr(name); name == "" || err == nil && addr.Unmap().IsUnspecified() {
		name = "localhost"
	}
	return net.JoinHostPort(name, number)
}

type probeResult struct {
	url    string
	status int
	err    error
}

func probe(ctx context.Context, at string) probeResult {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return probeResult{url: at, err: err}
	}
	transport := &http.Transport{DisableKeepAlives: true} // no proxy: the probe is about this address
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
