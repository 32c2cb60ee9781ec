package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
	"github.com/logstreamer/logstreamer/internal/printable"
	"github.com/logstreamer/logstreamer/internal/worker"
)

const (
	// pollWait is how long one request waits for the end of an operation.
	pollWait = 20 * time.Second
	// unreachableLimit is how long an operation is waited for without a response: a
	// distributor that restarts continues its drains.
	unreachableLimit = time.Minute
	retryInterval    = time.Second
)

// await reads an operation until it has ended: ended decodes a response and reports whether it has.
func (c *call) await(ctx context.Context, path string, ended func(adminclient.Response) (bool, error)) error {
	r := adminclient.Request{Method: http.MethodGet, Path: path, Query: url.Values{"wait": {pollWait.String()}}, Wait: pollWait}
	lastResponse := time.Now()
	for {
		response, err := c.client.Do(ctx, r)
		var unreachable *adminclient.UnreachableError
		switch {
		case err == nil:
			lastResponse = time.Now()
			if done, err := ended(response); done || err != nil {
				return err
			}
			continue
		case !errors.As(err, &unreachable) || ctx.Err() != nil || time.Since(lastResponse) > unreachableLimit:
			return c.report(err)
		}
		c.progress("%v; trying again", err)
		if !worker.Sleep(ctx, retryInterval) {
			return context.Cause(ctx)
		}
	}
}

// progress reports on standard error what the command waits for.
func (c *call) progress(format string, args ...any) {
	_, _ = fmt.Fprintln(c.stderr, printable.String(fmt.Sprintf(format, args...)))
}

// awaitDrain waits for a drain and prints its proof.
func (c *call) awaitDrain(ctx context.Context, operation string) error {
	var drain adminapi.Drain
	var body []byte
	c.progress("waiting for drain %s", operation)
	err := c.await(ctx, adminclient.Path("drains", operation), func(response adminclient.Response) (bool, error) {
		drain, body = adminapi.Drain{}, response.Body
		err := response.Decode(&drain)
		if err == nil && drain.Running {
			left := drain.LeftVolume()
			c.progress("%s still holds %d packets (%d messages); deadline %s", drain.Analyzer, left.Packets, left.Messages, clock(drain.Deadline))
		}
		return !drain.Running, err
	})
	if err != nil {
		return fmt.Errorf("waiting for drain %s: %w", operation, err)
	}
	if c.json {
		c.out.json(body)
	} else {
		c.out.drain(drain)
	}
	return checkProof(drain)
}

// checkProof returns an error unless a drain ended with all packets accounted for.
func checkProof(drain adminapi.Drain) error {
	p := drain.Proof
	if p == nil {
		return fmt.Errorf("drain %s ended without a proof", drain.Operation)
	}
	missing := p.Held.Packets - p.Delivered - p.Rerouted - p.DeadLettered - p.Remaining
	switch {
	case p.Unaccounted != 0 || missing != 0:
		return fmt.Errorf("drain %s: %d packets are unaccounted for, and the proof lacks %d", drain.Operation, p.Unaccounted, missing)
	case p.Result == "canceled":
		return fmt.Errorf("drain %s was canceled: the analyzer was made ready before its end", drain.Operation)
	case p.Result == "superseded":
		return fmt.Errorf("drain %s was superseded: another drain of the analyzer began before its end", drain.Operation)
	}
	return nil
}

// drain writes a drain with its proof.
func (p *printer) drain(drain adminapi.Drain) {
	if drain.Proof == nil {
		left := drain.LeftVolume()
		p.line("%s: %s since %s, %d packets (%d messages) left, deadline %s.", drain.Analyzer, drain.Kind, clock(drain.Started), left.Packets, left.Messages, clock(drain.Deadline))
		return
	}
	proof := drain.Proof
	p.line("%s: %s at %s.", drain.Analyzer, proof.Result, clock(drain.Ended))
	p.line("Of %d packets (%d messages) that it held: %d delivered, %d rerouted, %d dead-lettered, %d remaining; %d unaccounted.",
		proof.Held.Packets, proof.Held.Messages, proof.Delivered, proof.Rerouted, proof.DeadLettered, proof.Remaining, proof.Unaccounted)
	p.line("%d routed to it since, %d possible duplicates.", proof.RoutedSince, proof.PossibleDuplicates)
}

// awaitReplay waits for a replay of dead letters.
func (c *call) awaitReplay(ctx context.Context, id string) error {
	var replay adminapi.Replay
	var body []byte
	c.progress("waiting for replay %s", id)
	err := c.await(ctx, adminclient.Path("dead-letters", "replays", id), func(response adminclient.Response) (bool, error) {
		replay, body = adminapi.Replay{}, response.Body
		err := response.Decode(&replay)
		if under := replay.State == "running" || replay.State == "waiting"; !under || err != nil {
			return true, err
		}
		c.progress("%s: %d of %d sent; %s", replay.State, replay.Replayed, replay.Matched, replay.Detail)
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for replay %s: %w", id, err)
	}
	if c.json {
		c.out.json(body)
	} else {
		c.out.replay(replay)
	}
	unaccounted := replay.Matched - replay.Replayed - replay.Failed
	if replay.State != "done" || replay.Failed != 0 || unaccounted != 0 {
		return fmt.Errorf("replay %s is %s: %d failed, %d not sent", id, replay.State, replay.Failed, unaccounted)
	}
	return nil
}

func (p *printer) replay(replay adminapi.Replay) {
	text := fmt.Sprintf("Replay %s is %s: of %d dead letters %d were sent again, %d failed.", replay.ID, replay.State, replay.Matched, replay.Replayed, replay.Failed)
	if replay.Detail != "" {
		text += " " + replay.Detail
	}
	p.line("%s", text)
}
