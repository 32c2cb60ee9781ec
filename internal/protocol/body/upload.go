package body

import (
	"errors"
	"io"
	"net/netip"

	"github.com/logstreamer/logstreamer/internal/clientquota"
	"github.com/logstreamer/logstreamer/internal/intake"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// While a body of known length arrives it holds at most the larger of uploadStart bytes and
// uploadFactor times the arrived bytes: a client that announces a large body and sends a small part
// holds little memory.
const (
	uploadFactor = 8
	uploadStart  = 4 << 10
	// A body of unknown length grows by 1/smallGrowth of its size if there can never be memory for
	// twice its size.
	smallGrowth = 4
)

// Upload is a body of which a part has arrived. The zero value holds nothing.
type Upload struct {
	reader *Reader
	// quota is charged for the client's memory until the body has arrived; nil for none.
	quota      *clientquota.Quota
	client     netip.Addr
	length     int            // bytes, or -1 if it is not known
	minSize    int            // bytes of the first buffer, unless the body is smaller
	body       *packet.Packet // nil until a part has arrived
	held       int64          // bytes that are charged
	otherBytes int64          // bytes of memory that the request holds until the body is whole
	// announced, unless nil, returns how many bytes follow at least.
	announced func() int64
}

// Upload returns the upload of a client's body of that many bytes, or -1. Its owner
// calls Done or Drop.
func (r *Reader) Upload(client netip.Addr, length int) Upload {
	return Upload{reader: r, quota: r.uploads, client: client, length: length, minSize: uploadStart}
}

// receive reads the body to its end.
func (u *Upload) receive(stream io.Reader) (*packet.Packet, *problem.Problem) {
	if fault := u.read(stream); fault != nil {
		u.Drop()
		return nil, fault
	}
	return u.Done(), nil
}

func (u *Upload) read(stream io.Reader) *problem.Problem {
	for {
		if u.body == nil || len(u.Free()) == 0 && u.missing() != 0 {
			if u.free() <= 0 {
				return u.readEnd(stream)
			}
			if fault := u.grow(u.arrived()); fault != nil {
				return fault
			}
		}
		n, err := stream.Read(u.Free())
		u.extend(n)
		switch {
		case u.free() < 0, u.announces(u.free()):
			return u.reader.tooLarge()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return Unreadable(err)
		}
	}
}

// free returns how many bytes more the body may have, below 0 if it is too large.
func (u *Upload) free() int64 { return u.reader.maxBytes.Load() - int64(u.arrived()) }

// announces reports whether more bytes follow.
func (u *Upload) announces(bytes int64) bool { return u.announced != nil && u.announced() > bytes }

// readEnd checks that a body of the maximum size has ended, without memory for more.
func (u *Upload) readEnd(stream io.Reader) *problem.Problem {
	var more [1]byte
	for {
		n, err := stream.Read(more[:])
		switch {
		case n > 0, u.announces(0):
			return u.reader.tooLarge()
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return Unreadable(err)
		}
	}
}

// Free returns the free part of the buffer, which may be empty.
func (u *Upload) Free() []byte {
	if u.body == nil {
		return nil
	}
	return u.body.Body[len(u.body.Body):cap(u.body.Body)]
}

// arrived returns the number of bytes that have arrived.
func (u *Upload) arrived() int {
	if u.body == nil {
		return 0
	}
	return len(u.body.Body)
}

// missing returns the number of bytes of a body of known length that have not arrived.
func (u *Upload) missing() int { return u.length - u.arrived() }

// Append appends bytes that have arrived, no more than missing returns. They may be at the
// beginning of the slice that Free returned.
func (u *Upload) Append(part []byte) *problem.Problem {
	free := u.Free()
	if len(part) > 0 && len(free) > 0 && &part[0] == &free[0] {
		u.extend(len(part))
		return nil
	}
	if len(free) < len(part) {
		if fault := u.grow(u.arrived() + len(part)); fault != nil {
			return fault
		}
	}
	if u.body != nil {
		u.body.Body = append(u.body.Body, part...)
	}
	return nil
}

// extend notes that this many bytes were read into the slice that Free returned.
func (u *Upload) extend(n int) { u.body.Body = u.body.Body[:u.arrived()+n] }

// grow replaces the buffer by a larger one, for a body of which that many bytes
// have arrived.
func (u *Upload) grow(arrived int) *problem.Problem {
	size := min(max(2*arrived, u.minSize), max(int(u.reader.maxBytes.Load()), arrived+1))
	switch {
	case u.length >= 0:
		size = min(max(uploadFactor*arrived, u.minSize), u.length)
	case !u.fits(size):
		size = min(size, arrived+arrived/smallGrowth+1)
	}
	if !u.fits(size) {
		return Unavailable(intake.TooLarge)
	}
	larger, held, fault := u.charge(size)
	if fault != nil {
		return fault
	}
	if u.body != nil {
		larger.Body = append(larger.Body, u.body.Body...)
		u.Drop()
	}
	u.body, u.held = larger, held
	return nil
}

// fits reports whether there can ever be memory for a buffer of that many bytes while the arrived
// bytes are copied to it.
func (u *Upload) fits(size int) bool {
	bytes := u.otherBytes + packet.FootprintOf(size)
	if u.body != nil {
		bytes += u.body.Footprint()
	}
	return u.reader.memory.Fits(bytes)
}

// charge returns a new buffer, and the amount that the client is charged for it instead of for the
// previous buffer.
func (u *Upload) charge(size int) (buffer *packet.Packet, held int64, fault *problem.Problem) {
	if u.quota != nil {
		if held = packet.FootprintOf(size); !u.quota.Replace(u.client, u.held, held) {
			return nil, 0, Unavailable(intake.Overloaded)
		}
	}
	buffer, reason := u.reader.memory.Lend(size)
	if reason == "" {
		return buffer, held, nil
	}
	if held > 0 {
		u.quota.Give(u.client, held)
	}
	return nil, 0, Unavailable(reason)
}

// Done returns the whole body, which the caller owns.
func (u *Upload) Done() *packet.Packet {
	body := u.body
	u.settle()
	return body
}

// Drop releases the memory.
func (u *Upload) Drop() {
	if u.body != nil {
		u.reader.memory.Drop(u.body)
	}
	u.settle()
}

func (u *Upload) settle() {
	if u.held > 0 {
		u.quota.Give(u.client, u.held)
	}
	u.body, u.held = nil, 0
}
