package native

import (
	"fmt"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/http1"
	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
	"github.com/logstreamer/logstreamer/internal/protocol/body"
)

const (
	// maxLines bounds the lines of a request, and so the list of refused lines, which is
	// complete.
	maxLines = 100_000
	// maxDetailedLines bounds the entries with a packet_id and a detail; all other entries have
	// number and code only.
	maxDetailedLines = 1000
	// lineBytes bounds an entry without detail, with the longest of all codes.
	lineBytes = len(`{"line":100000,"code":"unsupported_encoding"},`)
)

// refusedLines is the list of a request's refused lines, as JSON.
type refusedLines struct {
	text  []byte // separated by commas
	lines int
}

func (l *refusedLines) add(number int, why problem.Problem) {
	if l.lines > 0 {
		l.text = append(l.text, ',')
	}
	l.lines++
	detailed := l.lines <= maxDetailedLines
	l.text = append(l.text, `{"line":`...)
	l.text = strconv.AppendInt(l.text, int64(number), 10)
	if detailed && why.PacketID != "" {
		l.text = append(l.text, `,"packet_id":`...)
		l.text = problem.AppendQuoted(l.text, why.PacketID)
	}
	l.text = append(l.text, `,"code":"`...)
	l.text = append(l.text, why.Code...)
	l.text = append(l.text, '"')
	if detailed {
		l.text = append(l.text, `,"detail":`...)
		l.text = problem.AppendQuoted(l.text, why.Detail)
	}
	l.text = append(l.text, '}')
}

// appendMember appends the member of a response that is the list.
func (l *refusedLines) appendMember(dst []byte) []byte {
	dst = append(dst, `,"refused":[`...)
	dst = append(dst, l.text...)
	return append(dst, ']')
}

// emptied returns an empty list with the memory of this one, unless there is much of it.
func (l *refusedLines) emptied() refusedLines {
	if cap(l.text) > http1.MaxPooledBytes {
		return refusedLines{}
	}
	return refusedLines{text: l.text[:0]}
}

// listBytes returns the memory of a list of that many refused lines and of the response that the
// list is copied to, beyond that of any response.
func listBytes(refused int) int64 {
	return 2 * int64(lineBytes) * int64(max(refused-maxDetailedLines, 0))
}

// reserveList reserves the memory of the response for the case that all lines are refused, or
// returns why the request is refused: once a line is accepted, each refused line must be listed.
func (p *Protocol) reserveList(text []byte) (held int64, fault *problem.Problem) {
	lines := packet.CountLines(text)
	if lines > maxLines {
		return 0, &problem.Problem{
			Code:   problem.TooLarge,
			Detail: fmt.Sprintf("the body has %d lines, of which none was taken: a request may have %d", lines, maxLines),
		}
	}
	if held = listBytes(lines); held == 0 {
		return 0, nil
	}
	if reason := p.memory.Reserve(held); reason != "" {
		return 0, body.Unavailable(reason)
	}
	return held, nil
}
