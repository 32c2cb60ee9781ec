package ingest

import (
	"errors"
	"io"
	"net/netip"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// While a body of known length arrives it holds at most uploadFactor times as much
// memory as has arrived, or uploadStart bytes: whoever announces a large body and
// sends little of it holds little.
const (
	uploadFactor = 8
	uploadStart  = 4 << 10
)

// upload is a body of which a part has arrived. Its owner calls done or drop.
type upload struct {
	bodies *bodyReader
	// quota is charged for the client's memory until the body is here; nil for none.
	quota  *clientQuota
	client netip.Addr
	length int            // bytes, or -1 when it is not known
	least  int            // bytes of the first buffer, unless the body is smaller
	body   *packet.Packet // nil until a part has arrived
	held   int64          // bytes that are charged
}

// receive reads the body to its end.
func (u *upload) receive(stream io.Reader) (*packet.Packet, *problem.Problem) {
	if fault := u.read(stream); fault != nil {
		u.drop()
		return nil, fault
	}
	return u.done(), nil
}

func (u *upload) read(stream io.Reader) *problem.Problem {
	for {
		if u.body == nil || len(u.free()) == 0 && u.missing() != 0 {
			if fault := u.grow(u.arrived()); fault != nil {
				return fault
			}
		}
		n, err := stream.Read(u.free())
		u.extend(n)
		switch {
		case u.arrived() > u.bodies.most:
			return u.bodies.tooLarge()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return unreadable(err)
		}
	}
}

// free returns the part of the buffer that is free, empty when there is none.
func (u *upload) free() []byte {
	if u.body == nil {
		return nil
	}
	return u.body.Body[len(u.body.Body):cap(u.body.Body)]
}

// arrived returns how many bytes have.
func (u *upload) arrived() int {
	if u.body == nil {
		return 0
	}
	return len(u.body.Body)
}

// missing returns how many bytes of a body of known length have not arrived.
func (u *upload) missing() int { return u.length - u.arrived() }

// add appends what has arrived, which is not more than what is missing.
func (u *upload) add(part []byte) *problem.Problem {
	if len(u.free()) < len(part) {
		if fault := u.grow(u.arrived() + len(part)); fault != nil {
			return fault
		}
	}
	if u.body != nil {
		u.body.Body = append(u.body.Body, part...)
	}
	return nil
}

// extend notes that many bytes as arrived that were read to free.
func (u *upload) extend(n int) { u.body.Body = u.body.Body[:u.arrived()+n] }

// grow replaces the buffer by a larger one, for a body of which that many bytes
// have arrived.
func (u *upload) grow(arrived int) *problem.Problem {
	size := max(2*arrived, u.least)
	if u.length >= 0 {
		size = min(max(uploadFactor*arrived, u.least), u.length)
	}
	larger, held, fault := u.charge(size)
	if fault != nil {
		return fault
	}
	if u.body != nil {
		larger.Body = append(larger.Body, u.body.Body...)
		u.drop()
	}
	u.body, u.held = larger, held
	return nil
}

// charge returns a buffer and what the client is charged for it.
func (u *upload) charge(size int) (buffer *packet.Packet, held int64, fault *problem.Problem) {
	if u.quota != nil {
		if held = packet.FootprintOf(size); !u.quota.take(u.client, held) {
			return nil, 0, notNow(problem.Overloaded)
		}
	}
	if buffer, fault = u.bodies.lend(size); fault != nil && held > 0 {
		u.quota.give(u.client, held)
	}
	return buffer, held, fault
}

// done returns the whole body, which the caller owns.
func (u *upload) done() *packet.Packet {
	body := u.body
	u.settle()
	return body
}

// drop gives the memory back.
func (u *upload) drop() {
	if u.body != nil {
		u.bodies.drop(u.body)
	}
	u.settle()
}

func (u *upload) settle() {
	if u.held > 0 {
		u.quota.give(u.client, u.held)
	}
	u.body, u.held = nil, 0
}
