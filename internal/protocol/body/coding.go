package body

import (
	"bytes"
	"fmt"
	"github.com/klauspost/compress/flate"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

// Codings are the content codings that a Reader decodes.
type Codings int

const (
	// NativeCodings are gzip and zstd.
	NativeCodings Codings = iota
	// AllCodings are gzip, zstd, deflate and snappy, for the protocols of other systems.
	AllCodings
)

// String returns the names of the codings.
func (c Codings) String() string {
	if c == AllCodings {
		return "gzip, zstd, deflate, snappy"
	}
	return "gzip, zstd"
}

type decodeFunc func(encoded []byte) (*packet.Packet, *problem.Problem)

// decoder returns what undoes the Content-Encoding, or nil if there is none. All fields
// are one list.
func (r *Reader) decoder(head *http1.Head) (decode decodeFunc, fault *problem.Problem) {
	if !head.Encoded {
		return nil, nil
	}
	for coding := range head.Values("content-encoding") {
		if http1.Is(coding, "identity") {
			continue
		}
		if decode != nil {
			return nil, &problem.Problem{Code: problem.UnsupportedEncoding, Detail: "Content-Encoding lists several codings: one is understood"}
		}
		if decode = r.decoderOf(coding); decode == nil {
			return nil, r.unsupported(coding)
		}
	}
	return decode, nil
}

// decoderOf returns what undoes a coding, or nil if it is none of Codings.
func (r *Reader) decoderOf(coding []byte) decodeFunc {
	switch {
	case http1.Is(coding, "gzip"), http1.Is(coding, "x-gzip"):
		return r.decodeGzip
	case http1.Is(coding, "zstd"):
		return r.decodeZstd
	case r.codings != AllCodings:
		return nil
	case http1.Is(coding, "deflate"), http1.Is(coding, "zlib"):
		return r.decodeDeflate
	case http1.Is(coding, "snappy"), http1.Is(coding, "x-snappy-framed"):
		return r.decodeSnappy
	default:
		return nil
	}
}

// Decode undoes a coding of bytes that have arrived. The caller owns the packet, of which only
// Body is set.
func (r *Reader) Decode(coding string, encoded []byte) (*packet.Packet, *problem.Problem) {
	decode := r.decoderOf([]byte(coding))
	if decode == nil {
		return nil, r.unsupported([]byte(coding))
	}
	return decode(encoded)
}

func (r *Reader) unsupported(coding []byte) *problem.Problem {
	return &problem.Problem{
		Code:   problem.UnsupportedEncoding,
		Detail: fmt.Sprintf("Content-Encoding %.40q: %s and none are understood", coding, r.codings),
	}
}

func (r *Reader) decodeGzip(encoded []byte) (*packet.Packet, *problem.Problem) {
	decoder, _ := r.gzips.Get().(*gzip.Reader)
	if decoder == nil {
		decoder = new(gzip.Reader)
	}
	defer r.gzips.Put(decoder)
	if err := decoder.Reset(bytes.NewReader(encoded)); err != nil {
		return nil, Unreadable(err)
	}
	return r.inflate(decoder)
}

func (r *Reader) decodeZstd(encoded []byte) (*packet.Packet, *problem.Problem) {
	if hasLargeWindow(encoded) {
		return nil, &problem.Problem{
			Code:   problem.UnsupportedEncoding,
			Detail: fmt.Sprintf("zstd with a window of at most %d bytes is understood", zstdWindow),
		}
	}
	decoder := <-r.zstds
	defer func() { r.zstds <- decoder }()
	if err := decoder.Reset(bytes.NewReader(encoded)); err != nil {
		return nil, Unreadable(err)
	}
	return r.inflate(decoder)
}

// decodeDeflate decodes the zlib format, which RFC 9110 section 8.4.1.2 means by deflate, and
// the bare deflate format, which some clients send.
func (r *Reader) decodeDeflate(encoded []byte) (*packet.Packet, *problem.Problem) {
	source := bytes.NewReader(encoded)
	if !isZlib(encoded) {
		return r.inflate(flate.NewReader(source))
	}
	decoder, _ := r.deflates.Get().(io.Reader)
	var err error
	if decoder == nil {
		decoder, err = zlib.NewReader(source)
	} else {
		err = decoder.(zlib.Resetter).Reset(source, nil)
	}
	if err != nil {
		return nil, Unreadable(err)
	}
	defer r.deflates.Put(decoder)
	return r.inflate(decoder)
}

// isZlib reports whether a text begins with the two bytes of RFC 1950 section 2.2.
func isZlib(encoded []byte) bool {
	return len(encoded) >= 2 && encoded[0]&0x0f == 8 && (int(encoded[0])<<8|int(encoded[1]))%31 == 0
}

const (
	// snappyStream begins the framed format. As a block it would refer to bytes before its
	// beginning, so no block begins with it.
	snappyStream = "\xff\x06\x00\x00sNaPpY"
	// snappyRatio bounds how many bytes a block can have for one that is encoded: an element
	// of three bytes makes at most 64.
	snappyRatio = 64 / 3
)

// decodeSnappy decodes the framed format and single blocks.
func (r *Reader) decodeSnappy(encoded []byte) (*packet.Packet, *problem.Problem) {
	if !bytes.HasPrefix(encoded, []byte(snappyStream)) {
		return r.DecodeBlock(encoded)
	}
	decoder, _ := r.snappies.Get().(*snappy.Reader)
	if decoder == nil {
		decoder = snappy.NewReader(nil)
	}
	defer r.snappies.Put(decoder)
	decoder.Reset(bytes.NewReader(encoded))
	return r.inflate(decoder)
}

// DecodeBlock decodes a single snappy block. The caller owns the packet, of which only Body is
// set.
func (r *Reader) DecodeBlock(encoded []byte) (*packet.Packet, *problem.Problem) {
	length, err := snappy.DecodedLen(encoded)
	switch {
	case err != nil:
		return nil, Unreadable(err)
	case int64(length) > r.maxBytes.Load():
		return nil, r.tooLarge()
	case length > (len(encoded)+1)*(snappyRatio+1):
		return nil, Unreadable(snappy.ErrCorrupt)
	}
	decoded, reason := r.memory.Lend(length)
	if reason != "" {
		return nil, Unavailable(reason)
	}
	if _, err := snappy.Decode(decoded.Body[:cap(decoded.Body)], encoded); err != nil {
		r.memory.Drop(decoded)
		return nil, Unreadable(err)
	}
	decoded.Body = decoded.Body[:length]
	return decoded, nil
}
