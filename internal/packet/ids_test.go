package packet

import "testing"

func TestHashOfIDs(t *testing.T) {
	hash := func(emitter, packet string) uint64 {
		body := []byte(`{"emitter_id":"` + emitter + `","packet_id":"` + packet + `","messages":[` + plainMessage + `]}`)
		info, err := Check(body, 10)
		if err != nil {
			t.Fatal(err)
		}
		p := Packet{Body: body, Info: info}
		first := p.IDs()
		if again := p.IDs(); again != first || first == 0 {
			t.Error("two hashes of one packet differ, or are 0")
		}
		return first
	}
	one := hash("e-1", "p-1")
	if got := hash(`\u0065-1`, `p\u002d1`); got != one {
		t.Error("another spelling of the same ids has another hash")
	}
	if got := HashIDs([]byte("e-1"), []byte("p-1")); got != one {
		t.Error("HashIDs differs from IDs")
	}
	if got := hash("e-1", "p-2"); got == one || got>>32 != one>>32 {
		t.Error("the hash of another packet of the emitter has to differ in the lower half only")
	}
	if got := hash("e-2", "p-1"); got>>32 == one>>32 || uint32(got) != uint32(one) {
		t.Error("the hash of another emitter has to differ in the upper half only")
	}
}
