package ingest

import (
	"fmt"
	"strconv"

	"github.com/logstreamer/logstreamer/internal/packet"
	"github.com/logstreamer/logstreamer/internal/problem"
)

const (
	// maxLines a request may have, so that the list of those that are refused,
	// which leaves out none, is bounded.
	maxLines = 100_000
	// maxDetailedLines are listed with a packet_id and a detail; of those behind
	// them the list has the number and the code.
	maxDetailedLines = 1000
	// lineBytes bounds the entry of a line that is not explained, with the longest
	// of all codes.
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
	explained := l.lines <= maxDetailedLines
	l.text = append(l.text, `{"line":`...)
	l.text = strconv.AppendInt(l.text, int64(number), 10)
	if explained && why.PacketID != "" {
		l.text = append(l.text, `,"packet_id":`...)
		l.text = problem.AppendQuoted(l.text, why.PacketID)
	}
	l.text = append(l.text, `,"code":"`...)
	l.text = append(l.text, why.Code...)
	l.text = append(l.text, '"')
	if explained {
		l.text = append(l.text, `,"detail":`...)
		l.text = problem.AppendQuoted(l.text, why.Detail)
	}
	l.text = append(l.text, '}')
}

// appendMember appends the member of an answer that is the list.
func (l *refusedLines) appendMember(dst []byte) []byte {
	dst = append(dst, `,"refused":[`...)
	dst = append(dst, l.text...)
	return append(dst, ']')
}

// emptied is the list's memory for another, unless that is much.
func (l *refusedLines) emptied() refusedLines {
	if cap(l.text) > maxPooledBytes {
		return refusedLines{}
	}
	return refusedLines{text: l.text[:0]}
}

// listBytes is the memory that a list of so many refused lines takes, with the
// answer that it is copied to, beyond what any answer may take.
func listBytes(refused int) int64 {
	return 2 * int64(lineBytes) * int64(max(refused-maxDetailedLines, 0))
}

// reserveList takes the memory for the answer if all lines are refused, or tells
// why the request cannot be: once a line is taken, each refused one must be told.
func (h *Handler) reserveList(body []byte) (held int64, fault *problem.Problem) {
	lines := packet.CountLines(body)
	if lines > maxLines {
		return 0, &problem.Problem{
			Code:   problem.TooLarge,
			Detail: fmt.Sprintf("the body has %d lines, of which none was taken: a request may have %d", lines, maxLines),
		}
	}
	if held = listBytes(lines); held == 0 {
		return 0, nil
	}
	if code := h.bodies.reserve(held); code != "" {
		return 0, notNow(code)
	}
	return held, nil
}
