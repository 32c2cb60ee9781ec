package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// A 207 is parsed as a whole or not at all: with one unreadable entry it is unknown which
// packets were accepted, and the request has failed. A retry may then duplicate packets,
// but no rejected packet counts as delivered.

// readRejectedLines parses the list of a 207 to a request of n packets.
func readRejectedLines(r response, n int) ([]sink.Exception, error) {
	if coding := r.field("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, fmt.Errorf("the list of refused lines has the Content-Encoding %.40q, which was not requested", coding)
	}
	entries, err := rejectedEntries(r.body)
	if err != nil {
		return nil, err
	}
	lines := make([]sink.Exception, 0, min(len(entries), n))
	known := make(map[int]string, cap(lines)) // reasons by packet
	for i, entry := range entries {
		line, err := parseRejectedLine(entry, n)
		if err != nil {
			return nil, fmt.Errorf("entry %d of the list of refused lines: %w", i+1, err)
		}
		switch reason, again := known[line.Packet]; {
		case again && reason != line.Reason:
			return nil, fmt.Errorf("the list of refused lines has line %d twice, with different reasons", line.Packet+1)
		case !again:
			known[line.Packet] = line.Reason
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// rejectedEntries returns the entries of the member "refused" of the body.
func rejectedEntries(body []byte) ([][]byte, error) {
	if !json.Valid(body) {
		return nil, errors.New("the list of refused lines is not JSON")
	}
	object := bytes.TrimSpace(body)
	if jsontext.KindOf(object) != jsontext.Object {
		return nil, errNoObject
	}
	var list []byte
	for name, value := range jsontext.Members(object) {
		if string(jsontext.Decoded(name, nil)) != "refused" {
			continue
		}
		if list != nil {
			return nil, errors.New("there are two lists of refused lines")
		}
		list = value
	}
	if len(list) == 0 || list[0] != '[' {
		return nil, errors.New(`there is no list of refused lines: "refused" must be an array`)
	}
	return slices.Collect(jsontext.Elements(list)), nil
}

// errNoObject is the error of JSON that is not an object.
var errNoObject = errors.New("it is not an object")

// parseRejectedLine requires only the line number. A packet with an unknown code is rejected
// with sink.Other; a numeric code is an HTTP status.
func parseRejectedLine(entry []byte, packets int) (line sink.Exception, err error) {
	if jsontext.KindOf(entry) != jsontext.Object {
		return line, errNoObject
	}
	var number, code []byte
	for name, value := range jsontext.Members(entry) {
		var known *[]byte
		switch string(jsontext.Decoded(name, nil)) {
		case "line":
			known = &number
		case "code":
			known = &code
		case "detail":
			line.Detail = jsonText(value)
			continue
		default:
			continue
		}
		if *known != nil {
			return line, fmt.Errorf("it has %q twice", name)
		}
		*known = value
	}
	if number == nil {
		return line, errors.New(`it has no "line"`)
	}
	line.Packet, err = parseLineNumber(number, packets)
	line.Packet--
	line.Reason = lineReason(code)
	return line, err
}

// parseLineNumber accepts any integral JSON number, such as 1.0, from 1 to the number of
// packets.
func parseLineNumber(value []byte, packets int) (int, error) {
	const maxDigits = 64 // bounds the memory of the exact number
	text := string(value)
	about, err := strconv.ParseFloat(text, 64)
	if err != nil || len(text) > maxDigits || about < 1 || about > float64(packets) {
		return 0, fmt.Errorf("its line is %.40s: it must be a number from 1 to %d", text, packets)
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok || !exact.IsInt() {
		return 0, fmt.Errorf("its line is %.40s: it must be whole", text)
	}
	return int(exact.Num().Int64()), nil
}

// lineReason maps the code of a rejected line to a reason, empty for a throttled packet.
func lineReason(code []byte) string {
	text := jsonText(code)
	switch text {
	case sink.Malformed, sink.InvalidPacket, sink.TooLarge, sink.UnsupportedMedia:
		return text
	case "overloaded", "rate_limited", "no_analyzer", "draining", "journal_unwritable", "shed", "paused":
		return ""
	}
	switch status, _ := strconv.Atoi(text); status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return ""
	default:
		if reason := rejectionReason(status); reason != "" {
			return reason
		}
		return sink.Other
	}
}

// jsonText returns the content of a JSON string, and the raw JSON of any other value.
func jsonText(value []byte) string {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return string(value)
	}
	return text
}
