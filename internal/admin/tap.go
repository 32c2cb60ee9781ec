package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/tap"
)

// tapPacket is a packet that a tap shows.
type tapPacket struct {
	Time      time.Time       `json:"time"`
	Stage     tap.Stage       `json:"stage"`
	EmitterID string          `json:"emitter_id"`
	PacketID  string          `json:"packet_id"`
	Analyzer  string          `json:"analyzer,omitempty"`
	Level     string          `json:"level,omitempty"`
	Messages  int             `json:"messages"`
	Bytes     int             `json:"bytes"`
	Reason    string          `json:"reason,omitempty"`
	Detail    string          `json:"detail,omitempty"`
	Packet    json.RawMessage `json:"packet,omitempty"`
	Text      string          `json:"text,omitempty"` // of a body that is no JSON object, or cut
}

func tapPacketOf(e tap.Event) tapPacket {
	shown := tapPacket{
		Time: e.Time, Stage: e.Stage, EmitterID: e.EmitterID, PacketID: e.PacketID, Analyzer: e.Analyzer, Level: e.Level,
		Messages: e.Messages, Bytes: e.Bytes, Reason: e.Reason, Detail: e.Detail,
	}
	if body := bytes.TrimSpace([]byte(e.Body)); bytes.HasPrefix(body, []byte("{")) && json.Valid(body) {
		shown.Packet = body
	} else {
		shown.Text = e.Body
	}
	return shown
}

// tapOptions returns what the parameters select.
func (r *request) tapOptions() (tap.Options, error) {
	options := tap.Options{
		Sample: 1 / float64(r.number("sample", 1, 1, 1_000_000)), Emitter: r.text("emitter"), Analyzer: r.text("analyzer"), Bodies: r.flag("bodies"),
	}
	var stages []string
	for _, stage := range tap.Stages() {
		stages = append(stages, string(stage))
	}
	options.Stage = tap.Stage(r.word("stage", "", stages...))
	if r.has("level") {
		var known bool
		if options.Level, known = packet.ParseLevel(r.text("level")); !known {
			r.refuse("level", "TRACE, DEBUG, INFO, NOTICE, WARN, ERROR or CRITICAL")
		}
	}
	if r.query.err != nil {
		return options, r.query.err
	}
	if options.Bodies && r.caller.Role != credential.Operate {
		return options, refuse(forbidden, "%s has the role %s: bodies need the role %s", r.caller.Name, r.caller.Role, credential.Operate)
	}
	return options, nil
}

func (a *api) tap(r *request) (*answer, error) {
	if r.text("bodies") == "true" {
		r.record = &record{} // it is recorded who reads the content of packets
	}
	options, err := r.tapOptions()
	if err != nil {
		return nil, err
	}
	opened, err := a.control.Distributor().Tap(options)
	var option *tap.OptionError
	switch {
	case errors.As(err, &option):
		return nil, refuseValue(malformed, option.Key, option.Value, option.Allowed)
	case errors.Is(err, tap.ErrTooManyTaps):
		refused := refuse(tooManyStreams, "%v", err)
		refused.retryAfter = 5
		return nil, refused
	case err != nil:
		return nil, err
	}
	return &answer{contentType: eventStream, stream: func(s *stream) {
		defer opened.Close()
		streamTap(s, opened)
	}}, nil
}

func streamTap(s *stream, opened *tap.Tap) {
	dropped := int64(0)
	for {
		var e tap.Event
		var err error
		goesOn := waitOrBeat(s, func(ctx context.Context) bool {
			e, err = opened.Next(ctx)
			return err == nil || errors.Is(err, io.EOF)
		})
		switch {
		case !goesOn:
			return
		case errors.Is(err, io.EOF):
			s.end("the time of the tap is over, or the distributor stops")
			return
		case err != nil:
			continue // a comment was sent
		}
		if now := opened.Dropped(); now > dropped {
			s.send("dropped", "", map[string]int64{"dropped": now - dropped})
			dropped = now
		}
		if !s.send("packet", "", tapPacketOf(e)) {
			return
		}
	}
}
