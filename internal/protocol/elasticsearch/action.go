package elasticsearch

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/logstreamer/logstreamer/internal/protocol/jsontext"
)

// operation is the operation of a bulk request on a document.
type operation byte

const (
	create operation = iota
	index
	update
	remove
)

// String returns the name in requests and responses.
func (o operation) String() string { return [...]string{"create", "index", "update", "delete"}[o] }

// errUnsupported is the error of an item that would change a document.
var errUnsupported = errors.New("documents are logs here: create and index are possible, update and delete are not")

// action is one action of a bulk request, with its document.
type action struct {
	operation operation
	index, id []byte
	source    []byte // none for remove
}

// actions reads the actions of a bulk request.
type actions struct {
	rest    []byte
	line    int
	index   []byte // of the path
	scratch []byte // of the names of an action
	// latest is the line of the latest action, and parsed its content. Most lines are equal.
	latest []byte
	parsed action
}

// next returns the next action; ok is false at the end. The error is an error of the whole request,
// since the lines after a malformed action cannot be understood.
func (a *actions) next() (one action, ok bool, err error) {
	line, more := a.nextLine()
	for more && len(line) == 0 {
		line, more = a.nextLine()
	}
	if !more {
		return action{}, false, nil
	}
	if !bytes.Equal(line, a.latest) {
		if a.parsed, err = a.parse(line); err != nil {
			return action{}, false, fmt.Errorf("the action in line %d: %w", a.line, err)
		}
		a.latest = line
	}
	one = a.parsed
	if one.operation == remove {
		return one, true, nil
	}
	if one.source, more = a.nextLine(); !more {
		return action{}, false, fmt.Errorf("the action in line %d has no document behind it", a.line)
	}
	return one, true, nil
}

// nextLine returns the next line without JSON's white space around it; ok is false at the end.
func (a *actions) nextLine() (line []byte, ok bool) {
	if len(a.rest) == 0 {
		return nil, false
	}
	line, a.rest, _ = bytes.Cut(a.rest, []byte{'\n'})
	a.line++
	return trim(line), true
}

// trim returns a line without JSON's white space around it.
func trim(line []byte) []byte { return bytes.Trim(line, " \t\r\n") }

var errAction = errors.New(`it must be like {"create":{"_index":"NAME","_id":"ID"}}`)

func (a *actions) parse(line []byte) (one action, err error) {
	object, err := jsontext.Valid(line)
	if err != nil {
		return action{}, err
	}
	if jsontext.KindOf(object) != jsontext.Object {
		return action{}, errAction
	}
	operations := 0
	for name, value := range jsontext.Members(object) {
		operation, known := operationOf(jsontext.Decoded(name, nil))
		if !known && operations == 1 {
			continue // as Elasticsearch does; winston-elasticsearch sends attempts
		}
		if operations++; !known || operations > 1 || jsontext.KindOf(value) != jsontext.Object {
			return action{}, errAction
		}
		one.operation = operation
		a.names(&one, value)
	}
	if operations != 1 {
		return action{}, errAction
	}
	return one, nil
}

// operationOf returns the operation with a name.
func operationOf(name []byte) (_ operation, known bool) {
	for one := create; one <= remove; one++ {
		if string(name) == one.String() {
			return one, true
		}
	}
	return 0, false
}

// names sets index and id.
func (a *actions) names(one *action, object []byte) {
	one.index, a.scratch = a.index, a.scratch[:0]
	for name, value := range jsontext.Members(object) {
		switch string(jsontext.Decoded(name, nil)) {
		case "_index":
			if text := a.text(value); len(text) > 0 {
				one.index = text
			}
		case "_id":
			one.id = a.text(value)
		}
	}
}

// text returns a string or the text of a number.
func (a *actions) text(value []byte) []byte {
	switch jsontext.KindOf(value) {
	case jsontext.Number:
		return value
	case jsontext.String:
		content := jsontext.Content(value)
		if bytes.IndexByte(content, '\\') < 0 {
			return content
		}
		start := len(a.scratch)
		a.scratch = jsontext.AppendDecoded(a.scratch, content)
		return a.scratch[start:]
	default:
		return nil
	}
}
