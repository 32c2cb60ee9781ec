package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// byteOrderMark is what some editors prepend to UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// entry is a key of a configuration file.
type entry struct {
	key  string
	line int
	node ast.Node
}

// listSetter is a flag.Value that parses a YAML list itself.
type listSetter interface {
	setList(path string, list *ast.SequenceNode) error
}

// applyTo sets a flag to the entry's value. Errors start with the line number.
func (e entry) applyTo(value flag.Value) error {
	list, isList := e.node.(*ast.SequenceNode)
	if reader, ok := value.(listSetter); ok && isList {
		return reader.setList(e.key, list)
	}
	text, err := scalarText(e.node)
	if err != nil {
		return fmt.Errorf("%d: %s: %w", e.line, e.key, err)
	}
	if err := value.Set(text); err != nil {
		return fmt.Errorf("%d: %s: %q: %w", e.line, e.key, text, err)
	}
	return nil
}

// at prefixes an error with its position in the file.
func at(node ast.Node, path string, err error) error {
	return fmt.Errorf("%d: %s: %w", node.GetToken().Position.Line, path, err)
}

// readFile parses a YAML mapping.
func readFile(content []byte) ([]entry, error) {
	file, err := parser.ParseBytes(bytes.TrimPrefix(content, []byte(byteOrderMark)), 0)
	if err != nil {
		return nil, errors.New(yaml.FormatError(err, false, true))
	}
	if len(file.Docs) > 1 {
		return nil, errors.New("one document is needed, but --- separates several")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, nil
	}
	mapping, err := mappingValues(file.Docs[0].Body)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, pair := range mapping {
		entries = append(entries, entry{pair.Key.GetToken().Value, pair.Key.GetToken().Position.Line, pair.Value})
	}
	return entries, nil
}

func mappingValues(node ast.Node) ([]*ast.MappingValueNode, error) {
	switch node := node.(type) {
	case *ast.MappingNode:
		return node.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{node}, nil
	case *ast.CommentGroupNode:
		return nil, nil
	default:
		return nil, fmt.Errorf("line %d: a mapping is needed, such as port: 8080", node.GetToken().Position.Line)
	}
}

// scalarText returns a scalar as text; a list is joined with commas.
func scalarText(node ast.Node) (string, error) {
	switch node := node.(type) {
	case *ast.NullNode:
		return "", errors.New("the value is missing")
	case *ast.StringNode:
		return node.Value, nil
	case *ast.LiteralNode:
		return strings.TrimSpace(node.Value.Value), nil
	case *ast.SequenceNode:
		var parts []string
		for _, item := range node.Values {
			part, err := scalarText(item)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, ","), nil
	case ast.ScalarNode:
		return node.GetToken().Value, nil
	default:
		return "", errors.New("a plain value or a list of plain values is needed")
	}
}
