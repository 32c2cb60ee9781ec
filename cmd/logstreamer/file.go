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

// byteOrderMark is what some editors put before UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// entry is one key of a configuration file.
type entry struct {
	key  string
	line int
	node ast.Node
}

// lister is a setting that reads a list of the file itself.
type lister interface {
	setList(path string, list *ast.SequenceNode) error
}

// setTo sets a setting to what the entry says. An error begins with the line.
func (e entry) setTo(value flag.Value) error {
	list, isList := e.node.(*ast.SequenceNode)
	if reader, ok := value.(lister); ok && isList {
		return reader.setList(e.key, list)
	}
	text, err := plain(e.node)
	if err != nil {
		return fmt.Errorf("%d: %s: %w", e.line, e.key, err)
	}
	if err := value.Set(text); err != nil {
		return fmt.Errorf("%d: %s: %q: %w", e.line, e.key, text, err)
	}
	return nil
}

// at says where in the file something is wrong.
func at(node ast.Node, path string, err error) error {
	return fmt.Errorf("%d: %s: %w", node.GetToken().Position.Line, path, err)
}

// readFile reads a YAML file of keys with values.
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
	mapping, err := keysOf(file.Docs[0].Body)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, pair := range mapping {
		entries = append(entries, entry{pair.Key.GetToken().Value, pair.Key.GetToken().Position.Line, pair.Value})
	}
	return entries, nil
}

func keysOf(node ast.Node) ([]*ast.MappingValueNode, error) {
	switch node := node.(type) {
	case *ast.MappingNode:
		return node.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{node}, nil
	case *ast.CommentGroupNode:
		return nil, nil
	default:
		return nil, fmt.Errorf("line %d: keys with values are needed, such as port: 8080", node.GetToken().Position.Line)
	}
}

// plain returns a plain value as text; a list is joined with commas.
func plain(node ast.Node) (string, error) {
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
			part, err := plain(item)
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
