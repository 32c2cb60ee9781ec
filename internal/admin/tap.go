package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/credential"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/tap"
)

func tapPacketOf(e tap.Event) adminapi.TappedPacket {
	shown := adminapi.TappedPacket{
		Time: e.Time, Stage: string(e.Stage), EmitterID: e.EmitterID, PacketID: e.PacketID, Analyzer: e.Analyzer, Level: e.Level,
		Messages: e.Messages, Bytes: e.Bytes, Reason: e.Reason, Detail: e.Detail,
	}
	if body := bytes.TrimSpace([]byte(e.Body)); bytes.HasPrefix(body, []byte("{")) && json.Valid(body) {
		shown.Packet = body
	} else {
		shown.Text = e.Body
	}
	return shown
}

// sample returns the part of the packets that a tap shows: one of so many, or a part such as 0.1.
func (r *request) sample() float64 {
	const most = 1_000_000
	value, err := strconv.ParseFloat(cmp.Or(r.text("sample"), "1"), 64)
	switch {
	case err == nil && value >= 1 && value <= most && value == math.Trunc(value):
		return 1 / value
	case err == nil && value >= 1.0/most && value < 1:
		return value
	}
	r.refuse("sample", fmt.Sprintf("an integer from 1 to %d (one packet of so many) or a part such as 0.1", most))
	return 1
}

// tapOptions returns the selection by the parameters.
func (r *request) tapOptions() (tap.Options, error) {
	options := tap.Options{
		Sample: r.sample(), Emitter: r.text("emitter"), Analyzer: r.text("analyzer"), Bodies: r.flag("bodies"),
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

func (a *api) tap(r *request) (*response, error) {
	if r.text("bodies") == "true" {
		r.record = &record{} // reads of packet contents are recorded
	}
	options, err := r.tapOptions()
	if err != nil {
		return nil, err
	}
	opened, err := a.control.Distributor().Tap(options)
	var option *tap.OptionError
	switch {
	case errors.As(err, &option):
		return nil, refuseValue(option.Key, option.Value, option.Allowed)
	case errors.Is(err, tap.ErrTooManyTaps):
		refused := refuse(tooManyStreams, "%v", err)
		refused.retryAfter = 5
		return nil, refused
	case err != nil:
		return nil, err
	}
	return &response{contentType: eventStream, stream: func(s *stream) {
		defer opened.Close()
		streamTap(s, opened)
	}}, nil
}

func streamTap(s *stream, opened *tap.Tap) {
	dropped := int64(0)
	for {
		var e tap.Event
		var err error
		continues := waitOrHeartbeat(s, func(ctx context.Context) bool {
			e, err = opened.Next(ctx)
			return err == nil || errors.Is(err, io.EOF)
		})
		switch {
		case !continues:
			return
		case errors.Is(err, io.EOF):
			s.end("the time of the tap is over, or the distributor stops")
			return
		case err != nil:
			continue // a comment was sent
		}
		if now := opened.Dropped(); now > dropped {
			s.send("dropped", "", adminapi.TapDropped{Dropped: now - dropped})
			dropped = now
		}
		if !s.send("packet", "", tapPacketOf(e)) {
			return
		}
	}
}
