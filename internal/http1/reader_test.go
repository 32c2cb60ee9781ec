package http1

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

const chunkedHead = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"

// readAll reads the requests of a stream: their bodies, and why there is no other.
func readAll(stream io.Reader, received []byte) (bodies []string, err error) {
	r := NewReader(stream, limit, received)
	for {
		if err := r.Await(); err != nil {
			return bodies, err
		}
		if _, err := r.ReadHead(); err != nil {
			return bodies, err
		}
		body, err := io.ReadAll(r.Body())
		if err != nil {
			return bodies, err
		}
		if !r.Body().Ended() || r.Body().Left() != 0 {
			return bodies, errors.New("a body that was read is not said to be")
		}
		bodies = append(bodies, string(body))
	}
}

// Requests are read as they were written, however the stream is cut into pieces.
func TestStreams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream bytes.Buffer
		var want []string
		for range rapid.IntRange(0, 4).Draw(t, "requests") {
			body := string(rapid.SliceOfN(rapid.SampledFrom([]byte("ab\r\n0")), 0, 50).Draw(t, "body"))
			want = append(want, body)
			if rapid.Bool().Draw(t, "chunked") {
				stream.WriteString(chunkedHead)
				for rest := body; rest != ""; {
					n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
					stream.WriteString(strings.ToUpper(string("0123456789abcdefghij"[min(n, 15)])))
					n = min(n, 15)
					stream.WriteString(rapid.SampledFrom([]string{"", ";a=b", ";a=\"b\";c"}).Draw(t, "extension") + "\r\n" + rest[:n] + "\r\n")
					rest = rest[n:]
				}
				stream.WriteString("00\r\n" + rapid.SampledFrom([]string{"", "X: y\r\n", "Content-Length: 9\r\nA:\r\n"}).Draw(t, "trailer") + "\r\n")
				continue
			}
			stream.WriteString(strings.Replace(plain, "3", strconv.Itoa(len(body)), 1) + "\r\n" + body)
		}
		text := stream.Bytes()
		received := rapid.IntRange(0, len(text)).Draw(t, "received")
		rest := io.Reader(bytes.NewReader(text[received:]))
		switch rapid.IntRange(0, 3).Draw(t, "pieces") {
		case 0:
			rest = iotest.OneByteReader(rest)
		case 1:
			rest = iotest.HalfReader(rest)
		case 2:
			rest = iotest.DataErrReader(rest)
		}
		got, err := readAll(rest, text[:received])
		if err != io.EOF || strings.Join(got, "|") != strings.Join(want, "|") || len(got) != len(want) {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	})
}

func TestCutStreams(t *testing.T) {
	for _, text := range []string{plain + "\r\nabc", chunkedHead + "3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n"} {
		for end := 1; end < len(text); end++ {
			if _, err := readAll(strings.NewReader(text[:end]), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: %v", text[:end], err)
			}
		}
	}
	failure := errors.New("failure")
	for _, text := range []string{"", "GET", plain + "\r\na", chunkedHead + "3\r\na"} {
		if _, err := readAll(io.MultiReader(strings.NewReader(text), iotest.ErrReader(failure)), nil); !errors.Is(err, failure) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestChunkFaults(t *testing.T) {
	for _, body := range []string{
		"zz\r\n", "\r\n", "-1\r\n", "0x3\r\nabc\r\n", "3 \r\nabc\r\n", " 3\r\nabc\r\n", "3\nabc\r\n", "3\r\nabc\n", "3\r\nabcd\r\n", "3\r\nab\r\n0\r\n\r\n",
		"3;\x00\r\nabc\r\n", "3;a\rb\r\nabc\r\n", "ffffffffffffffff\r\n", "10000000000000000\r\n", "3,a\r\nabc\r\n",
		"0\r\n X: y\r\n\r\n", "0\r\nX\r\n\r\n", "0\r\nX : y\r\n\r\n", "0\r\n\n", "0\r\nX: \x00\r\n\r\n",
		"3;" + strings.Repeat("x", 2*limit) + "\r\nabc\r\n", "0\r\n" + strings.Repeat("X: y\r\n", limit) + "\r\n",
	} {
		var fault *Fault
		if got, err := readAll(strings.NewReader(chunkedHead+body), nil); !errors.As(err, &fault) || len(got) > 0 {
			t.Errorf("%.60q: %q, %v", body, got, err)
		}
	}
}

// What cannot be chunks is a fault before a line end or the end of the stream arrives.
func TestChunkFaultsOnOpenStreams(t *testing.T) {
	open := errors.New("nothing more has arrived")
	for body, fault := range map[string]bool{
		"{": true, " 3": true, "3\r\nabcd": true, "3\r\nabc\rd": true, "3\r\nabc\n": true, "3\r\nabc\r\n{": true, "3\r\nabc\r\nx": true, "0\r\n:": true,
		"": false, "3": false, "3\r": false, "3\r\nab": false, "3\r\nabc": false, "3\r\nabc\r": false, "3\r\nabc\r\n": false, "0\r\n": false, "0\r\n\r": false, "0\r\nX": false,
	} {
		for _, source := range []io.Reader{strings.NewReader(chunkedHead + body), iotest.OneByteReader(strings.NewReader(chunkedHead + body))} {
			_, err := readAll(io.MultiReader(source, iotest.ErrReader(open)), nil)
			if got := err != open; got != fault {
				t.Errorf("%q: %v", body, err)
			}
		}
	}
}

// Lines between chunks are bounded over a whole body, those of ordinary chunks are free.
func TestChunkOverhead(t *testing.T) {
	for lines, want := range map[int]bool{4: true, 10: false} {
		body := strings.Repeat("1;"+strings.Repeat("x", 4000)+"\r\na\r\n", lines) + "0\r\n\r\n"
		if _, err := readAll(strings.NewReader(chunkedHead+body), nil); (err == io.EOF) != want {
			t.Errorf("%d lines of 4000 bytes: %v", lines, err)
		}
	}
	small := strings.Repeat("1\r\na\r\n", 100_000) + "0\r\n\r\n"
	if _, err := readAll(strings.NewReader(chunkedHead+small), nil); err != io.EOF {
		t.Errorf("100000 chunks of a byte: %v", err)
	}
}

// A request behind one that was read is not touched, and one behind a body that was
// not is not read.
func TestBodyLeft(t *testing.T) {
	r := NewReader(strings.NewReader(""), limit, []byte(plain+"\r\nabcGET"))
	if _, err := r.ReadHead(); err != nil {
		t.Fatal(err)
	}
	body := r.Body()
	if body.Ended() || body.Left() != 3 {
		t.Errorf("ended %v, %d bytes left", body.Ended(), body.Left())
	}
	if n, err := body.Read(make([]byte, 2)); n != 2 || err != nil || body.Left() != 1 {
		t.Errorf("%d bytes, %v, %d left", n, err, body.Left())
	}
	if rest, err := io.ReadAll(body); string(rest) != "c" || err != nil || r.Received() != 3 {
		t.Errorf("%q, %v, %d bytes behind it", rest, err, r.Received())
	}
	r = NewReader(strings.NewReader(""), limit, []byte(chunkedHead+"3\r\nabc\r\n"))
	if _, err := r.ReadHead(); err != nil || r.Body().Left() != -1 || r.Body().Ended() {
		t.Errorf("%v, %d bytes left", err, r.Body().Left())
	}
}

// What is left of a body that cannot be read to its end is not known, however little
// it seems.
func TestBodyLeftOfUnreadable(t *testing.T) {
	for _, text := range []string{plain + "\r\nab", chunkedHead + "3\r\nabc\r\n0\r\nX\r\n\r\n", chunkedHead + "3\r\nabc\r\n0\r\n"} {
		r := NewReader(strings.NewReader(text), limit, nil)
		if _, err := r.ReadHead(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r.Body()); err == nil || r.Body().Left() != -1 || r.Body().Ended() {
			t.Errorf("%q: %v, %d bytes left, ended: %t", text, err, r.Body().Left(), r.Body().Ended())
		}
	}
}

// Empty lines are no request.
func TestEmptyLinesAlone(t *testing.T) {
	for text, want := range map[string]error{"\r\n": io.EOF, "\r\n\r\n": io.EOF, "\r": io.ErrUnexpectedEOF, "\r\n\r": io.ErrUnexpectedEOF, "\r\nG": io.ErrUnexpectedEOF} {
		for _, received := range []string{"", text[:1]} {
			r := NewReader(iotest.OneByteReader(strings.NewReader(text[len(received):])), limit, []byte(received))
			if _, err := r.ReadHead(); err != want {
				t.Errorf("%q: %v, want %v", text, err, want)
			}
		}
	}
}

// FuzzReader reads any stream, in two ways that must agree.
func FuzzReader(f *testing.F) {
	f.Add([]byte(plain+"\r\nabc"+plain+"\r\nabc"), 5)
	f.Add([]byte(chunkedHead+"3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n"+plain+"\r\nabc"), 70)
	f.Add([]byte("0 \r HTTP/0.0\r\n"), 0) // of two faults the one that comes first counts
	f.Fuzz(func(t *testing.T, text []byte, received int) {
		one, oneErr := readAll(bytes.NewReader(text), nil)
		received = min(max(received, 0), len(text))
		two, twoErr := readAll(iotest.OneByteReader(bytes.NewReader(text[received:])), text[:received])
		if strings.Join(one, "\x00") != strings.Join(two, "\x00") || outcome(oneErr) != outcome(twoErr) {
			t.Errorf("%q, %v; byte by byte %q, %v", one, oneErr, two, twoErr)
		}
	})
}

// outcome is what an error comes to for the client.
func outcome(err error) string {
	var fault *Fault
	if errors.As(err, &fault) {
		return strconv.Itoa(fault.Status)
	}
	return err.Error()
}

// A head is as it was when the body has been read, however the body comes.
func TestHeadOutlivesBody(t *testing.T) {
	for _, padding := range []int{0, limit / 3, limit - 150} {
		for _, piece := range []int{1, 7, limit / 2, limit, 4 * limit} {
			head := "POST /a HTTP/1.1\r\nHost: t\r\nContent-Type: text/x\r\nTransfer-Encoding: chunked\r\nX: " + strings.Repeat("x", padding) + "\r\n\r\n"
			var stream bytes.Buffer
			for range 2 {
				stream.WriteString(head)
				for range 3 {
					stream.WriteString("200\r\n" + strings.Repeat("~", 0x200) + "\r\n")
				}
				stream.WriteString("0\r\n\r\n")
			}
			r := NewReader(&pieces{stream.Bytes(), piece}, limit, nil)
			for range 2 {
				h, err := r.ReadHead()
				if err != nil {
					t.Fatal(err)
				}
				if body, err := io.ReadAll(r.Body()); err != nil || len(body) != 3*0x200 {
					t.Fatal(len(body), err)
				}
				if string(h.Method) != "POST" || string(h.Target) != "/a" || string(h.ContentType) != "text/x" || len(h.Field("x")) != padding {
					t.Errorf("with %d bytes more and pieces of %d the head is %q %q %q %.20q", padding, piece, h.Method, h.Target, h.ContentType, h.Field("x"))
				}
			}
		}
	}
}

// pieces is a stream that comes in pieces of at most so many bytes.
type pieces struct {
	text []byte
	size int
}

// Read implements io.Reader.
func (p *pieces) Read(dst []byte) (int, error) {
	n := copy(dst, p.text[:min(p.size, len(p.text))])
	p.text = p.text[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
