package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// byteOrderMark is a prefix of UTF-8 text that some editors write.
const byteOrderMark = "\xef\xbb\xbf"

// readFile applies the file to the configuration.
func readFile(config reflect.Value, settings []Setting, path string, sections map[string]any, origins map[string]Origin) []error {
	content, err := os.ReadFile(path)
	if err != nil {
		return []error{fmt.Errorf("-config: %w", err)}
	}
	pairs, err := parseYAML(content)
	if err != nil {
		return []error{fmt.Errorf("%s: %w", path, err)}
	}
	pairs = slices.DeleteFunc(pairs, func(pair *ast.MappingValueNode) bool {
		_, isSection := sections[pair.Key.GetToken().Value]
		return isSection
	})
	return setFields(config, settings, pairs, path, origins)
}

// setFields sets the fields of a struct to the values of an object in the file.
func setFields(config reflect.Value, settings []Setting, pairs []*ast.MappingValueNode, file string, origins map[string]Origin) (errs []error) {
	for _, pair := range pairs {
		key, from := pair.Key.GetToken().Value, originOf(pair.Key, file)
		origins[key] = from
		i := slices.IndexFunc(settings, func(s Setting) bool { return s.Key == key })
		if i < 0 {
			errs = append(errs, unknownKey(key, from, settings))
			continue
		}
		errs = append(errs, settings[i].setNode(settings[i].field(config), pair.Value, from)...)
	}
	return errs
}

func originOf(node ast.Node, file string) Origin {
	return Origin{source: file, line: node.GetToken().Position.Line}
}

// setNode sets the field to the value of a node.
func (s Setting) setNode(field reflect.Value, node ast.Node, from Origin) []error {
	list, isList := node.(*ast.SequenceNode)
	if isList && s.items() != nil && len(list.Values) > 0 {
		return s.setList(field, list, from.source)
	}
	text, err := scalarText(node)
	if s.path != "" && (err != nil || isList) {
		err = errors.New("a plain value is needed")
	}
	if err == nil {
		return []error{s.set(field, text, from)}
	}
	return []error{fmt.Errorf("%s: %w", s.name(from), err)}
}

// setList sets the field to a list of objects, of texts that the field's type parses, or
// of both.
func (s Setting) setList(field reflect.Value, list *ast.SequenceNode, file string) (errs []error) {
	all := reflect.MakeSlice(s.typ, 0, len(list.Values))
	for i, node := range list.Values {
		item := s
		item.Key = fmt.Sprintf("%s[%d]", s.Key, i)
		some := reflect.New(s.typ).Elem()
		if pairs, isObject := mappingValues(node); isObject {
			some = reflect.MakeSlice(s.typ, 1, 1)
			errs = append(errs, item.setObject(some.Index(0), pairs, originOf(node, file))...)
		} else if text, err := scalarText(node); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", item.name(originOf(node, file)), err))
		} else if _, err := s.parse(some, text); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", item.name(originOf(node, file)), err))
		}
		all = reflect.AppendSlice(all, some)
	}
	field.Set(all)
	return errs
}

// setObject sets the fields of the setting that is an item.
func (s Setting) setObject(item reflect.Value, pairs []*ast.MappingValueNode, from Origin) []error {
	fields := s.items()
	for i := range fields {
		fields[i].path = s.Key + "."
	}
	given := make(map[string]Origin)
	errs := setFields(item, fields, pairs, from.source, given)
	if errors.Join(errs...) != nil {
		return errs // the setting of a mistyped key would be missing as well
	}
	for _, f := range fields {
		if needed := f.tag.Get("required"); needed != "" && given[f.Key] == (Origin{}) {
			errs = append(errs, Refuse(f.Key, nil, needed, "%s: %s", f.name(from), needed))
		}
	}
	return errs
}

// parseYAML returns the pairs of a document that is a mapping.
func parseYAML(content []byte) ([]*ast.MappingValueNode, error) {
	file, err := parser.ParseBytes(bytes.TrimPrefix(content, []byte(byteOrderMark)), 0)
	if err != nil {
		return nil, syntaxError(err)
	}
	if len(file.Docs) > 1 {
		return nil, errors.New("one document is needed, but --- separates several")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil || file.Docs[0].Body.Type() == ast.CommentType {
		return nil, nil
	}
	pairs, ok := mappingValues(file.Docs[0].Body)
	if !ok {
		return nil, fmt.Errorf("line %d: a mapping is needed, such as port: 8080", file.Docs[0].Body.GetToken().Position.Line)
	}
	return pairs, nil
}

// syntaxError returns the error of the parser with its line and column, but without the lines of the
// file and the values that it quotes, since those may be secrets.
func syntaxError(err error) error {
	message, _, _ := strings.Cut(yaml.FormatError(err, false, false), `: "`)
	var line, column int
	if _, err := fmt.Sscanf(message, "[%d:%d]", &line, &column); err != nil {
		return errors.New(message)
	}
	_, message, _ = strings.Cut(message, "] ")
	return fmt.Errorf("line %d, column %d: %s", line, column, message)
}

func mappingValues(node ast.Node) (pairs []*ast.MappingValueNode, ok bool) {
	switch node := node.(type) {
	case *ast.MappingNode:
		return node.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{node}, true
	default:
		return nil, false
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
