package body

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/logstreamer/logstreamer/internal/gunzip"
	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/intake"
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

// gzipRatio bounds the decoded bytes that deflate makes of one encoded byte.
const gzipRatio = 1032

type decodeFunc func(encoded []byte) (*packet.Packet, *problem.Problem)

// decoder returns the decoder of the Content-Encoding, or nil if there is none. All header fields
// are one list.
func (r *Reader) decoder(head *http1.Head) (decode decodeFunc, fault *problem.Problem) {
	if !head.Encoded {
		return nil, nil
	}
	var first []byte
	for coding := range head.Values("content-encoding") {
		switch {
		case http1.Is(coding, "identity"):
		case decode == nil:
			if decode = r.decoderOf(coding); decode == nil {
				return nil, r.unsupported(coding)
			}
			first = coding
		case r.codings == AllCodings && http1.Is(first, "gzip") && http1.Is(coding, "deflate"):
			decode = r.decodeEither
		default:
			return nil, &problem.Problem{Code: problem.UnsupportedEncoding, Detail: "Content-Encoding lists several codings: one is understood"}
		}
	}
	return decode, nil
}

// decodeEither decodes a body that is gzip or deflate. Log handlers of Python (graypy) send deflate
// as gzip,deflate, as if Content-Encoding were Accept-Encoding.
func (r *Reader) decodeEither(encoded []byte) (*packet.Packet, *problem.Problem) {
	if bytes.HasPrefix(encoded, []byte("\x1f\x8b")) {
		return r.decodeGzip(encoded)
	}
	return r.decodeDeflate(encoded)
}

// decoderOf returns the decoder of a coding, or nil if the coding is none of Codings.
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

// Decode decodes bytes that have arrived. The caller owns the packet, of which only Body is set.
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
	decoder, _ := r.gzips.Get().(*gunzip.Reader)
	if decoder == nil {
		decoder = new(gunzip.Reader)
	}
	defer r.gzips.Put(decoder)
	decoder.Reset(bytes.NewReader(encoded))
	return r.inflate(decoder, encoded, gzipSize(encoded, r.maxBytes.Load()))
}

// gzipSize returns the buffer size for a gzip body: one byte more than the size at its end, so that
// the end is found without a larger buffer, or firstBuffer if that size is impossible. A wrong size
// is harmless.
func gzipSize(encoded []byte, maxBytes int64) int {
	if len(encoded) < 4 {
		return firstBuffer
	}
	size := int64(binary.LittleEndian.Uint32(encoded[len(encoded)-4:]))
	if size > min(maxBytes, gzipRatio*int64(len(encoded))) {
		return firstBuffer
	}
	return int(size) + 1
}

// decodeZstd decodes frames that state their size directly to a packet of that size, and other
// frames as a stream.
func (r *Reader) decodeZstd(encoded []byte) (*packet.Packet, *problem.Problem) {
	size, err := decodedSize(encoded)
	if err != nil {
		return nil, &problem.Problem{
			Code:   problem.UnsupportedEncoding,
			Detail: fmt.Sprintf("zstd with a window of at most %d bytes is understood", zstdWindow),
		}
	}
	decoder := <-r.zstds
	defer func() {
		_ = decoder.Reset(nil) // after a stream that is not read to its end, the decoder refuses frames
		r.zstds <- decoder
	}()
	if size >= 0 {
		return r.decodeWhole(encoded, size, func(to []byte) ([]byte, error) { return decodeFrames(decoder, encoded, to) })
	}
	if err := decoder.Reset(bytes.NewReader(encoded)); err != nil {
		return nil, Unreadable(err)
	}
	return r.inflate(decoder, encoded, firstBuffer)
}

// decodeFrames decodes frames to a buffer of their size. The window of a frame that is a single segment
// is its content, which is in that buffer: it takes no memory of the decoder, so it has no other limit.
func decodeFrames(decoder *zstd.Decoder, encoded, to []byte) ([]byte, error) {
	if len(to) > zstdWindow {
		if err := decoder.ResetWithOptions(nil, zstd.WithDecoderMaxWindow(uint64(len(to)))); err != nil {
			return nil, err
		}
		defer func() { _ = decoder.ResetWithOptions(nil, zstd.WithDecoderMaxWindow(zstdWindow)) }()
	}
	return decoder.DecodeAll(encoded, to[:0])
}

// decodeWhole decodes a body of which the decoded size is known.
func (r *Reader) decodeWhole(encoded []byte, size int64, decode func(to []byte) ([]byte, error)) (*packet.Packet, *problem.Problem) {
	length := int(size)
	switch {
	case size > r.maxBytes.Load():
		return nil, r.tooLarge()
	case !r.memory.Fits(packet.FootprintOf(len(encoded)) + packet.FootprintOf(length)):
		return nil, Unavailable(intake.TooLarge)
	}
	decoded, reason := r.memory.Lend(length)
	if reason != "" {
		return nil, Unavailable(reason)
	}
	text, err := decode(decoded.Body[:length])
	if err == nil && len(text) != length {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		r.memory.Drop(decoded)
		return nil, Unreadable(err)
	}
	decoded.Body = decoded.Body[:length]
	return decoded, nil
}

// decodeDeflate decodes the zlib format, which RFC 9110 section 8.4.1.2 means by deflate, and
// the bare deflate format, which some clients send.
func (r *Reader) decodeDeflate(encoded []byte) (*packet.Packet, *problem.Problem) {
	source := bytes.NewReader(encoded)
	if !isZlib(encoded) {
		return r.inflateWhole(flate.NewReader(source), encoded, source)
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
	return r.inflateWhole(decoder, encoded, source)
}

// inflateWhole decodes a body that must be one stream, of which source is the encoded form: what is
// behind the stream would be lost.
func (r *Reader) inflateWhole(decoder io.Reader, encoded []byte, source *bytes.Reader) (*packet.Packet, *problem.Problem) {
	decoded, fault := r.inflate(decoder, encoded, firstBuffer)
	if fault == nil && source.Len() > 0 {
		r.memory.Drop(decoded)
		return nil, Unreadable(fmt.Errorf("%d bytes follow the deflate stream", source.Len()))
	}
	return decoded, fault
}

// isZlib reports whether a text begins with the two bytes of RFC 1950 section 2.2.
func isZlib(encoded []byte) bool {
	return len(encoded) >= 2 && encoded[0]&0x0f == 8 && (int(encoded[0])<<8|int(encoded[1]))%31 == 0
}

const (
	// snappyStream begins the framed format. As a block it would refer to bytes before its
	// beginning, so no block begins with it.
	snappyStream = "\xff\x06\x00\x00sNaPpY"
	// snappyRatio bounds the decoded bytes that a block has for one encoded byte: an element of
	// three bytes makes at most 64.
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
	return r.inflate(decoder, encoded, firstBuffer)
}

// DecodeBlock decodes a single snappy block. The caller owns the packet, of which only Body is
// set.
func (r *Reader) DecodeBlock(encoded []byte) (*packet.Packet, *problem.Problem) {
	length, err := snappy.DecodedLen(encoded)
	switch {
	case err != nil:
		return nil, Unreadable(err)
	case length > (len(encoded)+1)*(snappyRatio+1):
		return nil, Unreadable(snappy.ErrCorrupt)
	}
	return r.decodeWhole(encoded, int64(length), func(to []byte) ([]byte, error) { return snappy.Decode(to, encoded) })
}
