package packet

import "testing"

func TestLines(t *testing.T) {
	body := []byte("{1}\r\n\n  \t\r\n{2}\n {3} \n{4}")
	type row struct {
		line   string
		number int
	}
	var got []row
	lines := LinesOf(body)
	for line, number, ok := lines.Next(); ok; line, number, ok = lines.Next() {
		got = append(got, row{string(line), number})
	}
	want := []row{{"{1}", 1}, {"{2}", 4}, {" {3} ", 5}, {"{4}", 6}}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
}

func TestCountLines(t *testing.T) {
	for body, want := range map[string]int{"": 0, "x": 1, "x\n": 1, "\n": 1, "\n\nx": 3, "x\r\n \n": 2} {
		if got := CountLines([]byte(body)); got != want {
			t.Errorf("%q has %d lines, want %d", body, got, want)
		}
	}
}
