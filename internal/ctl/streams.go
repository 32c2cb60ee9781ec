package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// errEnded is returned by a listener whose stream the server ended.
var errEnded = errors.New("the stream has ended")

// listener prints the events of a stream.
type listener struct {
	*call
	show func(adminclient.Event) error
	// finite is whether the stream is over when the server ends it.
	finite    bool
	connected bool
}

// Connected implements adminclient.Follower.
func (l *listener) Connected() { l.connected = true }

// Receive implements adminclient.Follower.
func (l *listener) Receive(e adminclient.Event) error {
	if e.Type != "end" {
		return errors.Join(l.show(e), l.out.err)
	}
	var end adminapi.StreamEnd
	if err := json.Unmarshal(e.Data, &end); err != nil {
		return err
	}
	l.progress("the server ended the stream: %s", end.Reason)
	if l.finite {
		return errEnded
	}
	return nil
}

// Disconnected implements adminclient.Follower. What was there once is waited for.
func (l *listener) Disconnected(err error, retry time.Duration) error {
	if _, refused := asRefusal(err); refused || !l.connected {
		return err
	}
	l.progress("%v; trying again in %v", err, retry.Round(time.Millisecond))
	return nil
}

// listen prints a stream until the server ends it or the command is interrupted.
func (c *call) listen(ctx context.Context, s adminclient.Stream, l *listener) error {
	l.call = c
	err := c.client.Follow(ctx, s, l)
	if errors.Is(err, errEnded) || ctx.Err() != nil {
		return nil
	}
	return err
}

func showEvents(ctx context.Context, c *call) error {
	query := url.Values{}
	if c.after > 0 {
		query.Set("after", strconv.FormatInt(c.after, 10))
	}
	if c.follow {
		return c.listen(ctx, adminclient.Stream{Path: adminclient.Path("events"), Query: query}, &listener{show: c.showEvent})
	}
	if c.limit > 0 {
		query.Set("limit", strconv.FormatInt(c.limit, 10))
	}
	var all adminapi.Events
	if printed, err := c.read(ctx, adminclient.Path("events"), query, &all); printed || err != nil {
		return err
	}
	if len(all.Events) == 0 {
		c.out.line("There are no events.")
	}
	for _, one := range all.Events {
		c.out.occurrence(one)
	}
	return nil
}

// showEvent prints an event of the stream in one line.
func (c *call) showEvent(e adminclient.Event) error {
	if c.json {
		c.out.jsonLine(e.Data)
		return nil
	}
	var one adminapi.Event
	if err := json.Unmarshal(e.Data, &one); err != nil {
		return err
	}
	c.out.occurrence(one)
	return nil
}

func (p *printer) occurrence(o adminapi.Event) {
	p.line("%d %s %s", o.ID, clock(o.Time), Describe(o))
}

// Describe returns an event in words.
func Describe(o adminapi.Event) string {
	text := o.Kind
	if o.Path != "" {
		text += " " + o.Path
	}
	if o.Old != nil || o.New != nil {
		text += ": " + value(o.Old) + " → " + value(o.New)
	}
	if o.Actor != "" {
		text += " by " + o.Actor
	}
	if o.Address != "" {
		text += " from " + o.Address
	}
	for _, more := range []string{o.Result, o.Reason, string(o.Detail)} {
		if more != "" {
			text += "; " + more
		}
	}
	return text
}

func tap(ctx context.Context, c *call) error {
	query := url.Values{}
	for key, text := range map[string]string{"emitter": c.emitter, "analyzer": c.analyzer, "level": c.level, "stage": c.stage} {
		if text != "" {
			query.Set(key, text)
		}
	}
	if c.sample > 0 {
		query.Set("sample", strconv.FormatInt(c.sample, 10))
	}
	if c.bodies {
		query.Set("bodies", "true")
	}
	return c.listen(ctx, adminclient.Stream{Path: adminclient.Path("tap"), Query: query}, &listener{show: c.showTapped, finite: true})
}

// showTapped prints an event of a tap in one line.
func (c *call) showTapped(e adminclient.Event) error {
	if c.json {
		c.out.jsonLine(e.Data)
		return nil
	}
	text, err := DescribeTapped(e)
	if err == nil {
		c.out.line("%s", text)
	}
	return err
}

// DescribeTapped returns an event of a tap in words.
func DescribeTapped(e adminclient.Event) (string, error) {
	if e.Type == "dropped" {
		var d adminapi.TapDropped
		err := json.Unmarshal(e.Data, &d)
		return fmt.Sprintf("%d packets were left out", d.Dropped), err
	}
	var t adminapi.TappedPacket
	if err := json.Unmarshal(e.Data, &t); err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s %-13s %s/%s: %d messages, %d bytes", t.Time.UTC().Format("15:04:05.000"), t.Stage, t.EmitterID, t.PacketID, t.Messages, t.Bytes)
	for _, more := range []string{t.Level, t.Analyzer, t.Reason, t.Detail, string(t.Packet), t.Text} {
		if more != "" {
			text += ", " + more
		}
	}
	return text, nil
}

func trace(ctx context.Context, c *call) error {
	query := url.Values{}
	if c.duration > 0 {
		query.Set("duration", c.duration.String())
	}
	if c.past > 0 {
		query.Set("past", strconv.FormatInt(c.past, 10))
	}
	return c.client.Lines(ctx, adminclient.Path("trace"), query, func(line []byte) error {
		c.out.jsonLine(line)
		return c.out.err
	})
}
