package packet

import "testing"

func TestVolumes(t *testing.T) {
	small := &Packet{Body: make([]byte, 10), Info: Info{Messages: 1}}
	large := &Packet{Body: make([]byte, 300), Info: Info{Messages: 20}}
	both := VolumeOf([]*Packet{small, large})
	if want := (Volume{Packets: 2, Messages: 21, Bytes: 310}); both != want {
		t.Fatalf("two packets are %+v, want %+v", both, want)
	}
	rest := both
	rest.Subtract(small)
	if want := VolumeOf([]*Packet{large}); rest != want {
		t.Errorf("without the small one %+v, want %+v", rest, want)
	}
	if sum := rest.Plus(VolumeOf([]*Packet{small})); sum != both {
		t.Errorf("the parts sum to %+v, want %+v", sum, both)
	}
	if difference := both.Minus(rest); difference != VolumeOf([]*Packet{small}) {
		t.Errorf("the difference is %+v, want the small one", difference)
	}
}
