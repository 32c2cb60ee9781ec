package rendezvous

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

const vectorsFile = "../../docs/sharding-vectors.json"

// vectors are the test vectors of docs/sharding.md, for programs in other languages.
type vectors struct {
	Hashes []hashVector  `json:"hashes"`
	Orders []orderVector `json:"orders"`
}

type hashVector struct {
	Name string `json:"name"`
	Key  string `json:"emitter_id"`
	Hash string `json:"xxh64"` // hexadecimal
}

type orderVector struct {
	Nodes []struct {
		Name   string  `json:"name"`
		Weight float64 `json:"weight"`
	} `json:"nodes"`
	Key string `json:"emitter_id"`
	// Order holds the names, the first choice first.
	Order []string `json:"order"`
}

// UPDATE_VECTORS=1 writes the file.
func TestVectors(t *testing.T) {
	computed := computeVectors()
	if os.Getenv("UPDATE_VECTORS") != "" {
		text, err := json.MarshalIndent(computed, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorsFile, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	var documented vectors
	if err := json.Unmarshal(text, &documented); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(computed), fmt.Sprint(documented); got != want {
		t.Errorf("computed  %s\ndocumented %s", got, want)
	}
}

// The hashes are of an implementation in Python, checked with the published vectors of XXH64,
// so that the vectors are not only those of one library.
func TestHashIsXXH64(t *testing.T) {
	for _, c := range []struct {
		name, key string
		want      uint64
	}{
		{"distributor-1:8080", "web-1", 0x0c24ca5658aefa38},
		{"10.0.0.2:8080", "emitter-1", 0xad2911343f9b1556},
	} {
		if got := Hash(c.name, c.key); got != c.want {
			t.Errorf("Hash(%q, %q) = %016x, want %016x", c.name, c.key, got, c.want)
		}
	}
}

func computeVectors() vectors {
	var v vectors
	nodes := []Node{{"distributor-1:8080", 1}, {"distributor-2:8080", 1}, {"distributor-3:8080", 1}}
	weighted := []Node{{"10.0.0.1:8080", 1}, {"10.0.0.2:8080", 2}, {"[fd00::3]:8080", 0.5}}
	keys := []string{"web-1", "web-2", "emitter-1", "", "münchen", "漢字", "a longer emitter id that fills more than one stripe of 32 bytes"}
	for _, key := range keys {
		for _, n := range nodes[:2] {
			v.Hashes = append(v.Hashes, hashVector{n.Name, key, fmt.Sprintf("%016x", Hash(n.Name, key))})
		}
		for _, of := range [][]Node{nodes, weighted} {
			o := orderVector{Key: key, Order: names(of, Order(of, key))}
			for _, n := range of {
				o.Nodes = append(o.Nodes, struct {
					Name   string  `json:"name"`
					Weight float64 `json:"weight"`
				}(n))
			}
			v.Orders = append(v.Orders, o)
		}
	}
	return v
}

func names(nodes []Node, order []int) (all []string) {
	for _, i := range order {
		all = append(all, nodes[i].Name)
	}
	return all
}

// When a node leaves, exactly the keys that had it first move, each to its second node, and
// the order of the others does not change. Read backwards, that is what a node that joins
// does.
func TestOnlyKeysOfALeavingNodeMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Node {
			return Node{rapid.StringMatching(`[a-z0-9.]{1,12}:[0-9]{2,4}`).Draw(t, "name"), rapid.SampledFrom([]float64{1, 1, 1, 0.5, 2, 10, 0}).Draw(t, "weight")}
		}), 2, 12, func(n Node) string { return n.Name }).Draw(t, "nodes")
		leaving := rapid.IntRange(0, len(nodes)-1).Draw(t, "leaving")
		left := slices.Delete(slices.Clone(nodes), leaving, leaving+1)
		for i := range 50 {
			key := rapid.StringN(0, 20, -1).Draw(t, "key") + strconv.Itoa(i)
			before, after := names(nodes, Order(nodes, key)), names(left, Order(left, key))
			want := slices.DeleteFunc(slices.Clone(before), func(name string) bool { return name == nodes[leaving].Name })
			if !slices.Equal(after, want) {
				t.Fatalf("%q: %q becomes %q without %s", key, before, after, nodes[leaving].Name)
			}
		}
	})
}

// Of 10 000 keys on five nodes, the exact number moves that the leaving node had, and they
// spread over the four others.
func TestKeysSpreadByWeight(t *testing.T) {
	const keys = 10_000
	for _, weights := range [][]float64{{1, 1, 1, 1, 1}, {1, 2, 3, 4, 10}} {
		var nodes []Node
		var sum float64
		for i, w := range weights {
			nodes = append(nodes, Node{fmt.Sprintf("distributor-%d:8080", i+1), w})
			sum += w
		}
		had, moved, first := make([]int, len(nodes)), 0, nodes[0].Name
		for i := range keys {
			key := "emitter-" + strconv.Itoa(i)
			before := names(nodes, Order(nodes, key))
			had[Order(nodes, key)[0]]++
			if after := names(nodes[1:], Order(nodes[1:], key)); after[0] != before[0] {
				moved++
				if before[0] != first {
					t.Fatalf("%s moved from %s, which did not leave", key, before[0])
				}
			}
		}
		if moved != had[0] {
			t.Errorf("%d keys moved, the leaving node had %d", moved, had[0])
		}
		for i, n := range had {
			want := keys * weights[i] / sum
			// Four standard deviations; the keys are fixed.
			if off := math.Abs(float64(n) - want); off > 4*math.Sqrt(want) {
				t.Errorf("weights %v: node %d has %d keys, want about %.0f", weights, i, n, want)
			}
		}
		t.Logf("weights %v: keys %v, moved %d", weights, had, moved)
	}
}

// Scores are finite for every hash, and 0 for a node without weight.
func TestScoreIsFinite(t *testing.T) {
	for i := range 1000 {
		s := Score(Node{"n", 1}, strconv.Itoa(i))
		if !(s > 0) || math.IsInf(s, 0) {
			t.Fatalf("score %v", s)
		}
	}
	for _, w := range []float64{0, -1, math.NaN()} {
		if s := Score(Node{"n", w}, "k"); s != 0 {
			t.Errorf("weight %v: score %v", w, s)
		}
	}
}
