package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strconv"
	"strings"
)

// A 207 is understood as a whole or not at all: when one entry of its list cannot be
// told, nobody knows which packets were taken, and the request has failed. What is sent
// again then may arrive twice; nothing that was refused counts as delivered.

// refusedLine is a packet of a request that the analyzer did not take.
type rejectedLine struct {
	number int
	// reason is why it will never be taken; empty when it is only not taken now.
	reason string
	detail string
}

// readRefusedLines reads the list of a 207 to a request of so many packets.
func readRejectedLines(r response, packets int) ([]rejectedLine, error) {
	if coding := r.field("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, fmt.Errorf("the list of refused lines has the Content-Encoding %.40q, which was not asked for", coding)
	}
	entries, err := rejectedEntries(r.body)
	if err != nil {
		return nil, err
	}
	lines := make([]rejectedLine, 0, min(len(entries), packets))
	known := make(map[int]string, cap(lines)) // the reasons, by number
	for i, entry := range entries {
		line, err := parseRejectedLine(entry, packets)
		if err != nil {
			return nil, fmt.Errorf("entry %d of the list of refused lines: %w", i+1, err)
		}
		switch reason, again := known[line.number]; {
		case again && reason != line.reason:
			return nil, fmt.Errorf("the list of refused lines has line %d twice, with different reasons", line.number)
		case !again:
			known[line.number] = line.reason
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// refusedEntries returns the entries of the member "refused" of the body's object.
func rejectedEntries(body []byte) ([]json.RawMessage, error) {
	if !json.Valid(body) {
		return nil, errors.New("the list of refused lines is not JSON")
	}
	var list json.RawMessage
	err := forEachMember(body, func(name string, value json.RawMessage) error {
		if name != "refused" {
			return nil
		}
		if list != nil {
			return errors.New("there are two lists of refused lines")
		}
		list = value
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || list[0] != '[' {
		return nil, errors.New(`there is no list of refused lines: "refused" must be an array`)
	}
	var entries []json.RawMessage
	return entries, json.Unmarshal(list, &entries)
}

// parseRefusedLine needs the line's number alone. Of a code that is not known the packet
// is refused for another reason; one that is a number is an HTTP status.
func parseRejectedLine(entry json.RawMessage, packets int) (rejectedLine, error) {
	var line rejectedLine
	var seen struct{ line, code bool }
	var code json.RawMessage
	err := forEachMember(entry, func(name string, value json.RawMessage) (err error) {
		twice := false
		switch name {
		case "line":
			twice, seen.line = seen.line, true
			line.number, err = parseLineNumber(value, packets)
		case "code":
			twice, seen.code = seen.code, true
			code = value
		case "detail":
			line.detail = jsonText(value)
		}
		if twice {
			return fmt.Errorf("it has %q twice", name)
		}
		return err
	})
	if err == nil && !seen.line {
		err = errors.New(`it has no "line"`)
	}
	line.reason = lineReason(code)
	return line, err
}

// parseLineNumber takes any JSON number that is whole, such as 1.0, and one of the
// lines that were sent.
func parseLineNumber(value json.RawMessage, packets int) (int, error) {
	const maxDigits = 64 // so that no exponent makes a large number of few characters
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

// reasonOf returns the reason to count a refused line under, by its code, and an empty
// one when the packet is only not taken now.
func lineReason(code json.RawMessage) string {
	text := jsonText(code)
	switch text {
	case rejectedMalformed, rejectedInvalid, rejectedTooLarge, rejectedMediaType:
		return text
	case "overloaded", "rate_limited", "no_analyzer", "draining", "journal_unwritable", "shed":
		return ""
	}
	switch status, _ := strconv.Atoi(text); status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return ""
	default:
		if reason := rejectionReason(status); reason != "" {
			return reason
		}
		return rejectedOther
	}
}

// textOf returns a string's content, and anything else as it stands.
func jsonText(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return string(value)
	}
	return text
}

// eachMember visits the members of a JSON object in their order, also those whose name
// is there twice. The object must be valid JSON.
func forEachMember(object json.RawMessage, visit func(name string, value json.RawMessage) error) error {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return errors.New("it is no object")
	}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		if err := visit(name, value); err != nil {
			return err
		}
	}
	return nil
}
