package ctl

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

// filter returns the members that select dead letters.
func (c *call) filter() map[string]any {
	selected := make(map[string]any)
	for key, text := range map[string]string{"reason": c.filterReason, "analyzer": c.analyzer, "emitter": c.emitter} {
		if text != "" {
			selected[key] = text
		}
	}
	return selected
}

// query returns the query that selects dead letters.
func (c *call) query() url.Values {
	query := url.Values{}
	for key, text := range c.filter() {
		query.Set(key, text.(string))
	}
	return query
}

// maxListed is the maximum of dead letters in one response.
const maxListed = 1000

// listDeadLetters prints all dead letters that match; as JSON part by part, as the server
// answers.
func listDeadLetters(ctx context.Context, c *call) error {
	query := c.query()
	t := table{header: []string{"ID", "TIME", "ANALYZER", "REASON", "EMITTER", "PACKET", ">MESSAGES", ">BYTES", "REPLAYED"}}
	for listed, unreadable := int64(0), int64(0); ; {
		if c.limit > 0 {
			query.Set("limit", strconv.FormatInt(min(c.limit-listed, maxListed), 10))
		}
		var part adminapi.DeadLetters
		printed, err := c.read(ctx, adminclient.Path("dead-letters"), query, &part)
		if err != nil {
			return err
		}
		for _, l := range part.DeadLetters {
			t.add(l.ID, clock(l.Time), l.Analyzer, l.Reason, l.EmitterID, l.PacketID, strconv.Itoa(l.Messages), strconv.Itoa(l.Bytes), strconv.FormatBool(l.Replayed))
		}
		listed += int64(len(part.DeadLetters))
		unreadable += part.Unreadable
		if part.Next == "" || c.limit > 0 && listed >= c.limit {
			if !printed {
				c.out.table(t)
				c.out.rest(part.Next, unreadable)
			}
			return nil
		}
		query.Set("after", part.Next)
	}
}

// rest prints what the list omits.
func (p *printer) rest(next string, unreadable int64) {
	if next != "" {
		p.line("There are more.")
	}
	if unreadable > 0 {
		p.line("%d lines are no dead letters: damaged, edited or too long.", unreadable)
	}
}

func showDeadLetter(ctx context.Context, c *call) error {
	var l adminapi.DeadLetter
	if printed, err := c.read(ctx, adminclient.Path("dead-letters", c.args[0]), nil, &l); printed || err != nil {
		return err
	}
	t := table{header: []string{"DEAD LETTER", l.ID}}
	t.add("time", clock(l.Time))
	t.add("analyzer", l.Analyzer)
	t.add("reason", l.Reason)
	t.add("detail", dash(l.Detail))
	t.add("emitter", l.EmitterID)
	t.add("packet", l.PacketID)
	t.add("replayed", strconv.FormatBool(l.Replayed))
	c.out.table(t)
	c.out.json(l.Packet)
	return nil
}

// selection returns the body that selects the dead letters of a replay or deletion.
func (c *call) selection(ctx context.Context, action string) (map[string]any, error) {
	filter := c.filter()
	if len(c.args) > 0 {
		if len(filter) > 0 || c.expect >= 0 {
			return nil, UsageError{errors.New("ids and a filter exclude each other")}
		}
		return map[string]any{"ids": c.args}, nil
	}
	count := c.expect
	switch {
	case count >= 0:
	case !c.dryRun:
		return nil, UsageError{errors.New("ids are needed, or -expect with the number of dead letters that the filter selects; -dry-run prints it")}
	default:
		var err error
		if count, err = c.countDeadLetters(ctx, action); err != nil {
			return nil, err
		}
	}
	return map[string]any{"filter": filter, "expect_count": count}, nil
}

// countDeadLetters returns how many dead letters the filter selects; those that were replayed
// are only deleted.
func (c *call) countDeadLetters(ctx context.Context, action string) (count int64, err error) {
	query := c.query()
	query.Set("limit", strconv.Itoa(maxListed))
	for {
		var part adminapi.DeadLetters
		if err := c.client.Get(ctx, adminclient.Path("dead-letters"), query, &part); err != nil {
			return 0, c.report(err)
		}
		for _, l := range part.DeadLetters {
			if action != "replay" || !l.Replayed {
				count++
			}
		}
		if part.Next == "" {
			return count, nil
		}
		query.Set("after", part.Next)
	}
}

// selectDeadLetters posts the selection and prints how many it matched.
func (c *call) selectDeadLetters(ctx context.Context, action, would, did string) (adminclient.Response, error) {
	body, err := c.selection(ctx, action)
	if err != nil {
		return adminclient.Response{}, err
	}
	if c.rate > 0 {
		body["rate"] = c.rate
	}
	response, err := c.mutate(ctx, http.MethodPost, adminclient.Path("dead-letters", action), nil, body)
	if err != nil {
		return response, err
	}
	var matched adminapi.Matched
	if err := response.Decode(&matched); err != nil {
		return response, err
	}
	switch {
	case c.json:
		c.out.json(response.Body)
	case c.dryRun:
		c.out.line("%d dead letters would be %s. Nothing was changed, as this is a dry run.", matched.Matched, would)
	default:
		c.out.line("%d dead letters %s.", matched.Matched, did)
	}
	return response, nil
}

func deleteDeadLetters(ctx context.Context, c *call) error {
	_, err := c.selectDeadLetters(ctx, "delete", "deleted", "were deleted")
	return err
}

func replayDeadLetters(ctx context.Context, c *call) error {
	response, err := c.selectDeadLetters(ctx, "replay", "sent again", "are being sent again")
	if err != nil || c.dryRun {
		return err
	}
	var replay adminapi.Replay
	if err := response.Decode(&replay); err != nil {
		return err
	}
	if c.wait {
		return c.awaitReplay(ctx, replay.ID)
	}
	if !c.json {
		c.out.line("Replay %s has begun.", replay.ID)
	}
	return nil
}

func listReplays(ctx context.Context, c *call) error {
	var all adminapi.Replays
	if printed, err := c.read(ctx, adminclient.Path("dead-letters", "replays"), nil, &all); printed || err != nil {
		return err
	}
	for _, r := range all.Replays {
		c.out.replay(r)
	}
	if len(all.Replays) == 0 {
		c.out.line("There was no replay.")
	}
	return nil
}

func cancelReplay(ctx context.Context, c *call) error {
	response, err := c.mutate(ctx, http.MethodDelete, adminclient.Path("dead-letters", "replays", c.args[0]), nil, nil)
	if err != nil {
		return err
	}
	var replay adminapi.Replay
	if err := response.Decode(&replay); err != nil {
		return err
	}
	if c.json {
		c.out.json(response.Body)
		return nil
	}
	c.out.replay(replay)
	return nil
}
