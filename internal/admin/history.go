package admin

import (
	"context"
	"errors"
	"io"

	"github.com/logstreamer/logstreamer/internal/history"
)

func (a *api) getHistory(*request) (*response, error) {
	return &response{contentType: "application/json", text: a.control.Distributor().History().Columns()}, nil
}

func (a *api) streamHistory(r *request) (*response, error) {
	withOverview := r.flag("overview")
	if r.query.err != nil {
		return nil, r.query.err
	}
	snapshots, err := a.control.Distributor().History().Subscribe(r.Header.Get("Last-Event-ID"))
	if errors.Is(err, history.ErrTooManyViewers) {
		refused := refuse(tooManyStreams, "%v", err)
		refused.retryAfter = 5
		return nil, refused
	}
	if err != nil {
		return nil, refuse(unavailable, "the distributor stops")
	}
	return &response{contentType: eventStream, stream: func(s *stream) {
		defer snapshots.Close()
		var last int64 // overview
		if withOverview {
			s.send("session", "", r.caller.state())
			last = a.addOverview(s, last)
			s.sendAdded()
		}
		for {
			var e history.Event
			var err error
			continues := waitOrHeartbeat(s, func(ctx context.Context) bool {
				e, err = snapshots.Next(ctx)
				return err == nil || errors.Is(err, io.EOF) || errors.Is(err, history.ErrSlow)
			})
			switch {
			case !continues:
				return
			case errors.Is(err, io.EOF):
				s.end("the distributor stops")
				return
			case errors.Is(err, history.ErrSlow):
				s.end(err.Error())
				return
			case err == nil && e.IsReset():
				s.send("reset", e.ID(), map[string]string{"boot": e.Boot()})
			case err == nil:
				s.add("snapshot", e.ID(), e.Data)
				if withOverview {
					last = a.addOverview(s, last)
				}
				s.sendAdded()
			}
		}
	}}, nil
}
