package deadletter

import (
	"context"
	"fmt"

	"github.com/logstreamer/logstreamer/internal/printable"
)

// Filter selects dead letters. An empty member selects all.
type Filter struct {
	Reason, Analyzer, Emitter string
	// State is Stored or Replayed.
	State State
}

// Page is a part of a list, oldest first.
type Page struct {
	Records []Record `json:"dead_letters"`
	// More reports whether more follow after the last one.
	More bool `json:"more"`
	// Unreadable counts the lines of this part that are no dead letters: they were
	// edited, damaged, or are too long.
	Unreadable int64 `json:"unreadable"`
}

// MaxPage is the maximum number of records of a Page.
const MaxPage = 1000

// maxListedDetail is the length in bytes to which List shortens Detail.
const maxListedDetail = 1 << 10

// List returns up to limit (1 to MaxPage) records that match a filter, after the one
// with an id; "" is from the first on. The one with that id need not exist any more. Like
// Get and Count, it may be called concurrently, while dead letters are added and files
// removed.
func (s *Store) List(ctx context.Context, filter Filter, after string, limit int) (Page, error) {
	if limit < 1 || limit > MaxPage {
		return Page{}, fmt.Errorf("the limit is %d: it must be a number from 1 to %d", limit, MaxPage)
	}
	var from position
	if after != "" {
		last, err := parseID(after)
		if err != nil {
			return Page{}, err
		}
		from = position{last.file, last.offset + 1}
	}
	extents, err := s.extents()
	if err != nil {
		return Page{}, err
	}
	var page Page
	tooLong, err := s.scan(ctx, extents, from, filter.visit(&page.Unreadable, func(_ *line, r Record, _ *storedPacket) (bool, error) {
		if page.More = len(page.Records) == limit; page.More {
			return false, nil
		}
		r.Detail = printable.Shorten(r.Detail, maxListedDetail)
		page.Records = append(page.Records, r)
		return true, nil
	}))
	page.Unreadable += tooLong
	return page, err
}

// visit returns a function for scan that calls then for the dead letters that match, and
// counts the lines that are none.
func (f Filter) visit(unreadable *int64, then func(*line, Record, *storedPacket) (bool, error)) func(*line) (bool, error) {
	return func(l *line) (bool, error) {
		if f.State != "" && l.mark.state() != f.State {
			return true, nil
		}
		h, body, err := l.split()
		if err == nil && (f.Reason != "" && f.Reason != h.Reason || f.Analyzer != "" && f.Analyzer != h.Analyzer) {
			return true, nil
		}
		record, one, err := l.record(h, body, err)
		if err != nil {
			*unreadable++
			return true, nil
		}
		if f.Emitter != "" && f.Emitter != record.EmitterID {
			return true, nil
		}
		return then(l, record, one)
	}
}

// Count is a number of dead letters.
type Count struct {
	Records  int64 `json:"dead_letters"`
	Messages int64 `json:"messages"`
	Bytes    int64 `json:"bytes"`
	// Unreadable counts lines that are no dead letters.
	Unreadable int64 `json:"unreadable"`
}

// Count counts the dead letters that match a filter. It reads all files.
func (s *Store) Count(ctx context.Context, filter Filter) (Count, error) {
	extents, err := s.extents()
	if err != nil {
		return Count{}, err
	}
	return s.count(ctx, extents, filter)
}

func (s *Store) count(ctx context.Context, extents []extent, filter Filter) (Count, error) {
	var c Count
	tooLong, err := s.scan(ctx, extents, position{}, filter.visit(&c.Unreadable, func(_ *line, r Record, _ *storedPacket) (bool, error) {
		c.Records++
		c.Messages += int64(r.Messages)
		c.Bytes += int64(r.Bytes)
		return true, nil
	}))
	c.Unreadable += tooLong
	return c, err
}

// Get returns the record with an id and the body of its packet. The error is an *IDError
// or a *NotFoundError if there is none.
func (s *Store) Get(ctx context.Context, id string) (r Record, body []byte, err error) {
	at, err := parseID(id)
	if err != nil {
		return Record{}, nil, err
	}
	err = s.at(ctx, at, func(_ *line, found Record, one *storedPacket) error {
		r, body = found, append([]byte(nil), one.body...)
		return nil
	})
	return r, body, err
}

// at calls visit for the dead letter at a position, or returns a *NotFoundError.
func (s *Store) at(ctx context.Context, at position, visit func(*line, Record, *storedPacket) error) error {
	found := false
	_, err := s.scan(ctx, []extent{{at.file, maxFileBytes}}, at, func(l *line) (bool, error) {
		r, one, err := l.parse()
		if err != nil || l.position != at {
			return false, nil
		}
		found = true
		return false, visit(l, r, one)
	})
	if err == nil && !found {
		return &NotFoundError{at.id()}
	}
	return err
}
