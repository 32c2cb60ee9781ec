package fairshare

import (
	"fmt"
	"slices"
)

// State is the whole state of a table. A table that Restore makes from it gives the same
// picks, deficits and maximum deviation as the table itself from then on.
type State struct {
	// Weights are by index; the weight of an unused index is 0.
	Weights []float64 `json:"weights"`
	// Active are the indexes of the active members, in ascending order, and Deficits
	// their deficits in units of 2⁻³² messages, whose sum is 0.
	Active   []int   `json:"active"`
	Deficits []int64 `json:"deficits"`
	// Reference are the deficits, in descending order, and MaxPacket is the largest
	// packet, from which the maximum deviation is computed.
	Reference []int64 `json:"reference"`
	MaxPacket int64   `json:"max_packet"`
}

// Save copies the state of the table to s and reuses the memory of s.
func (t *Table) Save(s *State) {
	t.settle()
	if t.deviation.invalid {
		t.deviation.takeSnapshot(t.deficits)
	}
	s.Weights = append(s.Weights[:0], t.weights...)
	s.Active = append(s.Active[:0], t.members...)
	s.Deficits = append(s.Deficits[:0], t.deficits...)
	s.Reference = append(s.Reference[:0], t.deviation.snapshot...)
	s.MaxPacket = t.deviation.maxPacket
}

// Restore returns a table with a state. It shares no memory with it.
func Restore(s State) (*Table, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	t := &Table{
		weights: slices.Clone(s.Weights), members: slices.Clone(s.Active), deficits: slices.Clone(s.Deficits),
		shares: make([]int64, len(s.Active), len(s.Weights)), position: slices.Repeat([]int{inactive}, len(s.Weights)),
		deviation: deviation{maxPacket: s.MaxPacket, snapshot: slices.Clone(s.Reference), stale: true},
	}
	for k, i := range t.members {
		t.position[i] = k
	}
	t.apportion()
	return t, nil
}

// maxDeficit is the maximum of deficits that validate accepts: sums of MaxMembers of them
// do not overflow.
const maxDeficit = 1<<53 - 1

// validate returns an error if no table can have the state.
func (s State) validate() error {
	if len(s.Weights) > MaxMembers {
		return fmt.Errorf("the state has %d members: there may be at most %d", len(s.Weights), MaxMembers)
	}
	for i, weight := range s.Weights {
		if weight != removed && !valid(weight) {
			return fmt.Errorf("weight %v of member %d: a weight must be above 0 and at most %v", weight, i, float64(MaxWeight))
		}
	}
	if len(s.Deficits) != len(s.Active) || len(s.Reference) != len(s.Active) {
		return fmt.Errorf("the state has %d active members, %d deficits and %d in reference: they must be as many", len(s.Active), len(s.Deficits), len(s.Reference))
	}
	if s.MaxPacket < 0 || s.MaxPacket > MaxMessages {
		return fmt.Errorf("a largest packet of %d messages: it must be from 0 to %d", s.MaxPacket, MaxMessages)
	}
	sum, last := int64(0), -1
	for k, i := range s.Active {
		if i <= last || i >= len(s.Weights) || s.Weights[i] == removed {
			return fmt.Errorf("active member %d: active members must be in ascending order and have weights", i)
		}
		if d := s.Deficits[k]; d < -maxDeficit || d > maxDeficit {
			return fmt.Errorf("deficit %d of member %d: it must be from %d to %d", d, i, -maxDeficit, int64(maxDeficit))
		}
		if r := s.Reference[k]; r < -maxDeficit || r > maxDeficit || k > 0 && r > s.Reference[k-1] {
			return fmt.Errorf("reference %d: it must be in descending order, from %d to %d", r, -maxDeficit, int64(maxDeficit))
		}
		sum, last = sum+s.Deficits[k], i
	}
	if sum != 0 {
		return fmt.Errorf("the deficits sum to %d: they must sum to 0", sum)
	}
	return nil
}
