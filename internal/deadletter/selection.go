package deadletter

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// MaxIDs is the maximum number of ids of a Selection.
const MaxIDs = 10_000

// Selection selects the dead letters to replay or to delete: by ids, or by a filter
// together with the number of dead letters that it is expected to match, so that dead letters that
// were added after the count are not selected.
type Selection struct {
	IDs         []string
	Filter      *Filter
	ExpectCount int64
}

// SelectionError reports a selection that is not one of ids or by a filter.
type SelectionError struct{ IDs int }

func (e *SelectionError) Error() string {
	return fmt.Sprintf("a selection has 1 to %d ids, or a filter with the expected count; it has %d ids", MaxIDs, e.IDs)
}

// CountError reports that a filter matches another number of dead letters than expected.
type CountError struct{ Expected, Actual int64 }

func (e *CountError) Error() string {
	return fmt.Sprintf("%d dead letters are expected and %d match: list them again", e.Expected, e.Actual)
}

// plan is a selection that was checked: it matches what was there then.
type plan struct {
	positions []position // sorted; nil if by the filter
	filter    Filter
	extents   []extent
	total     int64
}

// plan checks a selection. It returns a *SelectionError, *IDError, *NotFoundError or
// *CountError if it does not hold.
func (s *Store) plan(ctx context.Context, selection Selection, state State) (plan, error) {
	ids := len(selection.IDs)
	if ids > MaxIDs || (ids > 0) == (selection.Filter != nil) {
		return plan{}, &SelectionError{ids}
	}
	if ids > 0 {
		return s.planIDs(ctx, selection.IDs)
	}
	p := plan{filter: *selection.Filter}
	p.filter.State = cmp.Or(state, p.filter.State)
	var err error
	if p.extents, err = s.extents(); err != nil {
		return plan{}, err
	}
	count, err := s.count(ctx, p.extents, p.filter)
	if err != nil {
		return plan{}, err
	}
	if p.total = count.Records; p.total != selection.ExpectCount {
		return plan{}, &CountError{selection.ExpectCount, p.total}
	}
	return p, nil
}

func (s *Store) planIDs(ctx context.Context, ids []string) (plan, error) {
	var p plan
	for _, id := range ids {
		at, err := parseID(id)
		if err != nil {
			return plan{}, err
		}
		p.positions = append(p.positions, at)
	}
	slices.SortFunc(p.positions, func(a, b position) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.offset, b.offset))
	})
	p.positions = slices.Compact(p.positions)
	for _, at := range p.positions {
		if err := s.at(ctx, at, func(*line, Record, *storedPacket) error { return nil }); err != nil {
			return plan{}, err
		}
	}
	p.total = int64(len(p.positions))
	return p, nil
}

// each calls visit for the dead letters of a plan from a position on that are still
// there, until it returns false or an error.
func (s *Store) each(ctx context.Context, p plan, from position, visit func(*line, Record, *storedPacket) (bool, error)) error {
	if p.positions == nil {
		var unreadable int64
		_, err := s.scan(ctx, p.extents, from, p.filter.visit(&unreadable, visit))
		return err
	}
	for _, at := range p.positions {
		if at.before(from) {
			continue
		}
		more := true
		err := s.at(ctx, at, func(l *line, r Record, one *storedPacket) (err error) {
			more, err = visit(l, r, one)
			return err
		})
		if _, gone := err.(*NotFoundError); err != nil && !gone { //nolint:errorlint // at wraps none
			return err
		}
		if !more {
			return nil
		}
	}
	return nil
}
