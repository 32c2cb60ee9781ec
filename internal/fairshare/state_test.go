package fairshare

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A table that is restored at a random moment of a random history does the same as the
// table itself from then on: picks, deficits, shares and maximum deviation are equal.
func TestRestoredTableDoesTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(0.01, 10), 1, 8).Draw(t, "weights")
		table := newTable(t, weights...)
		for range rapid.IntRange(0, 60).Draw(t, "before") {
			drawCall(t, len(weights))(table)
		}
		restored := restore(t, table)
		for range rapid.IntRange(1, 60).Draw(t, "after") {
			call := drawCall(t, len(weights))
			if got, want := call(restored), call(table); got != want {
				t.Fatalf("the restored table picks %d, the other one %d", got, want)
			}
			var got, want State
			restored.Save(&got)
			table.Save(&want)
			if !slices.Equal(got.Deficits, want.Deficits) || !slices.Equal(got.Active, want.Active) || !slices.Equal(restored.shares, table.shares) {
				t.Fatalf("the restored table has %v, the other one %v", got, want)
			}
			if got, want := restored.MaxDeviation(), table.MaxDeviation(); got != want {
				t.Fatalf("the restored table has a maximum deviation of %v, the other one %v", got, want)
			}
		}
	})
}

// restore returns a copy of the table by way of JSON.
func restore(t rapid.TB, table *Table) *Table {
	t.Helper()
	var state State
	table.Save(&state)
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	state = State{}
	if err := json.Unmarshal(text, &state); err != nil {
		t.Fatal(err)
	}
	restored, err := Restore(state)
	if err != nil {
		t.Fatal(err)
	}
	return restored
}

// drawCall draws a call with its arguments. It returns the picked member, or -1.
func drawCall(t *rapid.T, members int) func(*Table) int {
	i := rapid.IntRange(0, members-1).Draw(t, "member")
	m := rapid.OneOf(rapid.IntRange(1, 100), rapid.Just(1)).Draw(t, "messages")
	avoid := rapid.IntRange(-1, members-1).Draw(t, "avoid")
	w := rapid.Float64Range(0.01, 10).Draw(t, "weight")
	do := func(f func(*Table)) func(*Table) int { return func(t *Table) int { f(t); return -1 } }
	pick := func(avoid int) func(*Table) int {
		return func(t *Table) int {
			i, ok := t.Pick(m, avoid)
			if !ok {
				return -1
			}
			return i
		}
	}
	return rapid.SampledFrom([]func(*Table) int{
		pick(-1), pick(-1), pick(avoid),
		do(func(t *Table) { t.Join(i) }), do(func(t *Table) { t.Join(i) }), do(func(t *Table) { t.Leave(i) }),
		do(func(t *Table) { t.SetWeight(i, w) }), do(func(t *Table) { t.Refund(i, m) }), do(func(t *Table) { t.MaxDeviation() }),
		do(func(t *Table) { t.Remove(i); _, _ = t.Add(w) }),
	}).Draw(t, "call")
}

func TestRestoreRejects(t *testing.T) {
	good := func() State {
		return State{Weights: []float64{1, 0, 2}, Active: []int{0, 2}, Deficits: []int64{5, -5}, Reference: []int64{5, -5}, MaxPacket: 10}
	}
	if _, err := Restore(good()); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*State){
		"weight -1":                func(s *State) { s.Weights[0] = -1 },
		"1025 members":             func(s *State) { s.Weights = make([]float64, MaxMembers+1) },
		"3 deficits":               func(s *State) { s.Deficits = append(s.Deficits, 0) },
		"largest packet of -1":     func(s *State) { s.MaxPacket = -1 },
		"active member 1":          func(s *State) { s.Active[1] = 1 },
		"active member 3":          func(s *State) { s.Active[1] = 3 },
		"active member 0":          func(s *State) { s.Active[1] = 0 },
		"sum to 1":                 func(s *State) { s.Deficits[0]++ },
		"deficit 9007199254740992": func(s *State) { s.Deficits = []int64{maxDeficit + 1, -maxDeficit - 1} },
		"reference 6":              func(s *State) { s.Reference[1] = 6 },
	} {
		state := good()
		spoil(&state)
		if _, err := Restore(state); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one that contains %q", err, want)
		}
	}
}

func TestSaveDoesNotAllocate(t *testing.T) {
	table := allActive(t, 1, 2, 3)
	var state State
	table.Save(&state)
	if allocations := testing.AllocsPerRun(100, func() { table.Pick(3, -1); table.Save(&state) }); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
