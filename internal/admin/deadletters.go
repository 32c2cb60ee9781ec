package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/deadletter"
	"github.com/logstreamer/logstreamer/internal/events"
	"github.com/logstreamer/logstreamer/internal/printable"
)

func deadLetterOf(r deadletter.Record, packet []byte) adminapi.DeadLetter {
	return adminapi.DeadLetter{
		ID: r.ID, Time: r.Time, Analyzer: r.Analyzer, Reason: r.Reason, Detail: r.Detail, EmitterID: r.EmitterID, PacketID: r.PacketID,
		Messages: r.Messages, Bytes: r.Bytes, Replayed: r.State == deadletter.Replayed, Packet: packet,
	}
}

// refuseDeadLetters returns the refusal for an error of package deadletter.
func refuseDeadLetters(err error) error {
	var (
		badID    *deadletter.IDError
		none     *deadletter.NotFoundError
		noReplay *deadletter.ReplayNotFoundError
		count    *deadletter.CountError
		busy     *deadletter.BusyError
		rate     *deadletter.RateError
		choice   *deadletter.SelectionError
	)
	switch {
	case errors.As(err, &none), errors.As(err, &noReplay), errors.As(err, &badID):
		return refuse(notFound, "%v", err)
	case errors.As(err, &count), errors.As(err, &busy):
		return refuse(conflict, "%v", err)
	case errors.As(err, &rate), errors.As(err, &choice):
		return refuse(malformed, "%v", err)
	}
	return err
}

func (a *api) listDeadLetters(r *request) (*response, error) {
	limit := r.number("limit", 100, 1, deadletter.MaxPage)
	if r.query.err != nil {
		return nil, r.query.err
	}
	filter := deadletter.Filter{Reason: r.text("reason"), Analyzer: r.text("analyzer"), Emitter: r.text("emitter")}
	page, err := a.deadLetters().List(r.Context(), filter, r.text("after"), int(limit))
	if badID := (*deadletter.IDError)(nil); errors.As(err, &badID) {
		return nil, refuseValue("after", badID.ID, "the id of a dead letter")
	}
	if err != nil {
		return nil, refuseDeadLetters(err)
	}
	body := adminapi.DeadLetters{DeadLetters: []adminapi.DeadLetter{}, Unreadable: page.Unreadable}
	for _, one := range page.Records {
		body.DeadLetters = append(body.DeadLetters, deadLetterOf(one, nil))
	}
	if page.More {
		body.Next = page.Records[len(page.Records)-1].ID
	}
	return &response{body: body}, nil
}

func (a *api) getDeadLetter(r *request) (*response, error) {
	r.record = &record{} // reads of packet contents are recorded
	one, packet, err := a.deadLetters().Get(r.Context(), r.name)
	if err != nil {
		return nil, refuseDeadLetters(err)
	}
	r.record.DeadLetters = &deadLettersRecord{IDs: []string{one.ID}, Matched: 1}
	return &response{body: deadLetterOf(one, packet)}, nil
}

// selection are the members of a body that select dead letters.
type selection struct {
	IDs    []string `json:"ids"`
	Filter *struct {
		Reason   string `json:"reason"`
		Analyzer string `json:"analyzer"`
		Emitter  string `json:"emitter"`
	} `json:"filter"`
	ExpectCount *int64 `json:"expect_count"`
}

// chosen returns the selection of package deadletter. A filter needs the number of dead letters to
// select, so that it does not select dead letters that were added after the client read the list.
func (s selection) chosen() (deadletter.Selection, error) {
	chosen := deadletter.Selection{IDs: s.IDs}
	byID, byFilter := len(s.IDs) > 0, s.Filter != nil
	if byID == byFilter || byFilter != (s.ExpectCount != nil) {
		return chosen, refuse(malformed, "the body must have ids, or filter and expect_count")
	}
	if byID {
		return chosen, nil
	}
	chosen.Filter = &deadletter.Filter{Reason: s.Filter.Reason, Analyzer: s.Filter.Analyzer, Emitter: s.Filter.Emitter}
	chosen.ExpectCount = *s.ExpectCount
	return chosen, nil
}

const (
	// maxRecordedIDs bounds the ids of dead letters in a record or an event, and
	// maxRecordedBytes each text of a filter.
	maxRecordedIDs   = 100
	maxRecordedBytes = 200
)

// deadLettersRecord is the part of records and events with the dead letters that were read,
// replayed or deleted.
type deadLettersRecord struct {
	IDs      []string      `json:"ids,omitempty"` // the first ones
	Filter   *filterRecord `json:"filter,omitempty"`
	Expected int64         `json:"expect_count,omitempty"`
	Matched  int64         `json:"matched"` // 0 in a dry run
}

// filterRecord is a filter of dead letters.
type filterRecord struct {
	Reason   string `json:"reason,omitempty"`
	Analyzer string `json:"analyzer,omitempty"`
	Emitter  string `json:"emitter,omitempty"`
}

func recordOf(chosen deadletter.Selection) *deadLettersRecord {
	r := &deadLettersRecord{IDs: chosen.IDs[:min(len(chosen.IDs), maxRecordedIDs)], Expected: chosen.ExpectCount}
	if f := chosen.Filter; f != nil {
		r.Filter = &filterRecord{printable.Shorten(f.Reason, maxRecordedBytes), printable.Shorten(f.Analyzer, maxRecordedBytes), printable.Shorten(f.Emitter, maxRecordedBytes)}
	}
	return r
}

// recordDeadLetters records the number of dead letters that were replayed or deleted, and adds an
// event.
func (a *api) recordDeadLetters(r *request, kind, path string, matched int64) {
	r.record.DeadLetters.Matched = matched
	actor := r.actor()
	a.control.Events().Add(events.Event{
		Kind: kind, Actor: actor.Name, Address: actor.Address, Path: path, Reason: r.record.Reason, Result: "applied", Detail: r.record.DeadLetters,
	})
}

func replayStateOf(r deadletter.Replay) adminapi.Replay {
	return adminapi.Replay{
		ID: strconv.Itoa(r.ID), State: string(r.State), Matched: r.Total, Replayed: r.Done, Failed: r.Failed, Rate: r.Rate,
		Started: r.Started, Ended: valueOf(r.Ended), Detail: r.Reason,
	}
}

func (a *api) replayDeadLetters(r *request) (*response, error) {
	var body struct {
		selection
		Rate   float64 `json:"rate"`
		Reason reason  `json:"reason"`
	}
	chosen, dryRun, err := r.selected(&body, &body.selection, &body.Reason)
	if err != nil {
		return nil, err
	}
	if _, err := deadletter.ReplayRate(body.Rate); err != nil {
		return nil, refuseDeadLetters(err)
	}
	if dryRun {
		return a.countSelected(r.Context(), chosen, deadletter.Stored)
	}
	started, err := a.replayer().Start(r.Context(), chosen, body.Rate)
	if err != nil {
		return nil, refuseDeadLetters(err)
	}
	state := replayStateOf(started)
	path := "dead-letters/replays/" + state.ID
	a.recordDeadLetters(r, "dead_letters_replayed", path, started.Total)
	return &response{status: http.StatusAccepted, location: "/v1/" + path, body: state}, nil
}

func (a *api) deleteDeadLetters(r *request) (*response, error) {
	var body struct {
		selection
		Reason reason `json:"reason"`
	}
	chosen, dryRun, err := r.selected(&body, &body.selection, &body.Reason)
	if err != nil {
		return nil, err
	}
	if dryRun {
		return a.countSelected(r.Context(), chosen, "")
	}
	deleted, err := a.deadLetters().Delete(r.Context(), chosen)
	if err != nil {
		return nil, refuseDeadLetters(err)
	}
	a.recordDeadLetters(r, "dead_letters_deleted", "dead-letters", deleted)
	return &response{body: adminapi.Matched{Matched: deleted}}, nil
}

// selected decodes a body with a selection and a reason, which are parts of it.
func (r *request) selected(body any, parts *selection, why *reason) (chosen deadletter.Selection, dryRun bool, err error) {
	if err := r.decode(body); err != nil {
		return chosen, false, err
	}
	change, err := r.change(options{Reason: *why})
	if err != nil {
		return chosen, false, err
	}
	chosen, err = parts.chosen()
	r.record.DeadLetters = recordOf(chosen)
	return chosen, change.DryRun, err
}

// countSelected answers a dry run.
func (a *api) countSelected(ctx context.Context, chosen deadletter.Selection, state deadletter.State) (*response, error) {
	if chosen.Filter == nil {
		for _, id := range chosen.IDs {
			if _, _, err := a.deadLetters().Get(ctx, id); err != nil {
				return nil, refuseDeadLetters(err)
			}
		}
		return &response{body: adminapi.Matched{Matched: int64(len(chosen.IDs)), DryRun: true}}, nil
	}
	filter := *chosen.Filter
	filter.State = state
	count, err := a.deadLetters().Count(ctx, filter)
	if err == nil && count.Records != chosen.ExpectCount {
		err = &deadletter.CountError{Expected: chosen.ExpectCount, Actual: count.Records}
	}
	if err != nil {
		return nil, refuseDeadLetters(err)
	}
	return &response{body: adminapi.Matched{Matched: count.Records, DryRun: true}}, nil
}

func (a *api) listReplays(*request) (*response, error) {
	list := []adminapi.Replay{}
	for _, one := range a.replayer().Replays() {
		list = append(list, replayStateOf(one))
	}
	return &response{body: adminapi.Replays{Replays: list}}, nil
}

// replay returns the replay of the path.
func (a *api) replay(r *request) (deadletter.Replay, error) {
	all := a.replayer().Replays()
	at := slices.IndexFunc(all, func(one deadletter.Replay) bool { return strconv.Itoa(one.ID) == r.name })
	if at < 0 {
		return deadletter.Replay{}, refuse(notFound, "there is no replay %s", shown(r.name))
	}
	return all[at], nil
}

func (a *api) getReplay(r *request) (*response, error) {
	state, err := pollUntil(r, func() (deadletter.Replay, bool, error) {
		one, err := a.replay(r)
		return one, one.Ended != nil, err
	})
	if err != nil {
		return nil, err
	}
	return &response{body: replayStateOf(state)}, nil
}

func (a *api) cancelReplay(r *request) (*response, error) {
	var body reasonBody
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	if _, err := r.change(options{Reason: body.Reason}); err != nil {
		return nil, err
	}
	one, err := a.replay(r)
	if err == nil {
		err = a.replayer().Cancel(one.ID)
	}
	if err != nil {
		return nil, refuseDeadLetters(err)
	}
	if one, err = a.replay(r); err != nil {
		return nil, err
	}
	actor := r.actor()
	a.control.Events().Add(events.Event{
		Kind: "replay_canceled", Actor: actor.Name, Address: actor.Address, Path: "dead-letters/replays/" + r.name, Reason: string(body.Reason), Result: "applied",
	})
	return &response{body: replayStateOf(one)}, nil
}

func (a *api) deadLetters() *deadletter.Store { return a.control.Distributor().DeadLetters() }

func (a *api) replayer() *deadletter.Replayer { return a.control.Distributor().Replayer() }
