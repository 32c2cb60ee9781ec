package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/logstreamer/logstreamer/internal/config"
)

// node is a value in a YAML file, with its path for errors.
type node struct {
	file, path string
	ast.Node
}

func (n node) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s: %s", n.file, n.line(), n.path, fmt.Sprintf(format, args...))
}

func (n node) line() int { return n.GetToken().Position.Line }

// child returns a value within this one.
func (n node) child(name string, value ast.Node) node {
	return node{n.file, n.path + name, value}
}

// object calls the function of each key.
func (n node) object(fields map[string]func(node) error) error {
	return n.pairs(func(key string, value node) error {
		set, ok := fields[key]
		if ok {
			return set(value)
		}
		known := slices.Sorted(maps.Keys(fields))
		hint := "."
		if intended, ok := config.ClosestMatch(key, known); ok {
			hint = "; did you mean " + intended + "?"
		}
		return n.errorf("unknown key %q%s Known are %s", key, hint, strings.Join(known, ", "))
	})
}

// pairs calls a function for each key with its value.
func (n node) pairs(each func(key string, value node) error) error {
	var values []*ast.MappingValueNode
	switch mapping := n.Node.(type) {
	case *ast.MappingNode:
		values = mapping.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{mapping}
	default:
		return n.errorf("an object is needed, such as {key: value}")
	}
	for _, pair := range values {
		key := pair.Key.GetToken().Value
		if err := each(key, n.child("."+key, pair.Value)); err != nil {
			return err
		}
	}
	return nil
}

// list calls a function for each item.
func (n node) list(each func(node) error) error {
	sequence, ok := n.Node.(*ast.SequenceNode)
	if !ok {
		return n.errorf("a list is needed")
	}
	for i, item := range sequence.Values {
		if err := each(n.child(fmt.Sprintf("[%d]", i), item)); err != nil {
			return err
		}
	}
	return nil
}

// text returns a plain value.
func (n node) text() (string, error) {
	switch value := n.Node.(type) {
	case *ast.StringNode:
		return value.Value, nil
	case *ast.NullNode, *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		return "", n.errorf("a plain value is needed")
	default:
		return value.GetToken().Value, nil
	}
}

func (n node) duration() (time.Duration, error) {
	text, err := n.text()
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxDuration {
		return 0, n.errorf("%q: a duration such as 20s is needed", text)
	}
	return d, nil
}

func (n node) integer(low, high int) (int, error) {
	text, err := n.text()
	if err != nil {
		return 0, err
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < low || number > high {
		return 0, n.errorf("%q: an integer from %d to %d is needed", text, low, high)
	}
	return number, nil
}

// positive returns a number above 0 and at most high.
func (n node) positive(high float64) (float64, error) {
	text, err := n.text()
	if err != nil {
		return 0, err
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || !(number > 0 && number <= high) {
		return 0, n.errorf("%q: a number above 0 and at most %g is needed", text, high)
	}
	return number, nil
}
