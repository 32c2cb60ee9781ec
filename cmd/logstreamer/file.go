package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// entry is one key of a configuration file.
type entry struct {
	key, value string
	line       int
}

// readFile reads a YAML file of keys with plain values; a list is joined with
// commas.
func readFile(content []byte) ([]entry, error) {
	file, err := parser.ParseBytes(content, 0)
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
		line := pair.Key.GetToken().Position.Line
		value, err := plain(pair.Value)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", line, pair.Key.String(), err)
		}
		entries = append(entries, entry{pair.Key.GetToken().Value, value, line})
	}
	return entries, nil
}

func keysOf(node ast.Node) ([]*ast.MappingValueNode, error) {
	switch node := node.(type) {
	case *ast.MappingNode:
		return node.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{node}, nil
	default:
		return nil, fmt.Errorf("line %d: keys with values are needed, such as port: 8080", node.GetToken().Position.Line)
	}
}

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
