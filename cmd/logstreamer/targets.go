package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/sink"
)

// analyzersValue is the list of analyzers.
type analyzersValue struct{ dst *[]distributor.Target }

func (v analyzersValue) String() string {
	if v.dst == nil {
		return ""
	}
	var parts []string
	for _, t := range *v.dst {
		parts = append(parts, t.URL+"="+strconv.FormatFloat(t.Weight, 'g', -1, 64))
	}
	return strings.Join(parts, ",")
}

func (v analyzersValue) Set(text string) error {
	parsed, err := distributor.ParseTargets(text)
	if errors.Is(err, sink.ErrUser) {
		// The caller prints the value with the error, including the password.
		// Validate reports it instead.
		parsed, err = []distributor.Target{{URL: sink.WithoutUser(text)}}, nil
	}
	if err != nil {
		return err
	}
	*v.dst = parsed
	return nil
}

// setList parses a list of URL=weight strings, or of objects with url, weight
// and optionally id.
func (v analyzersValue) setList(path string, list *ast.SequenceNode) error {
	var read []distributor.Target
	for i, item := range list.Values {
		one, err := analyzerOf(fmt.Sprintf("%s[%d]", path, i), item)
		if err != nil {
			return err
		}
		read = append(read, one...)
	}
	if len(read) == 0 {
		return at(list, path, errors.New("at least one analyzer is needed, such as http://analyzer-1:9001=0.5"))
	}
	distributor.NameTargets(read)
	*v.dst = read
	return nil
}

func analyzerOf(path string, item ast.Node) ([]distributor.Target, error) {
	switch item.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		one, err := analyzerObject(path, item)
		return []distributor.Target{one}, err
	}
	text, err := scalarText(item)
	if err != nil {
		return nil, at(item, path, errors.New("URL=weight, or an object with url and weight, is needed"))
	}
	parsed, err := distributor.ParseTargets(text)
	if err != nil {
		return nil, at(item, path, err)
	}
	for i := range parsed {
		parsed[i].ID = "" // assigned by NameTargets
	}
	return parsed, nil
}

func analyzerObject(path string, item ast.Node) (distributor.Target, error) {
	var one distributor.Target
	pairs, err := mappingValues(item)
	if err != nil {
		return one, err
	}
	for _, pair := range pairs {
		key := pair.Key.GetToken().Value
		text, err := scalarText(pair.Value)
		if err != nil {
			return one, at(pair.Value, path+"."+key, errors.New("a plain value is needed"))
		}
		switch key {
		case "url":
			one.URL = strings.TrimSuffix(strings.TrimSpace(text), "/")
		case "weight":
			one.Weight, err = distributor.ParseWeight(text)
		case "id":
			one.ID, err = text, distributor.CheckID(text)
		default:
			return one, at(pair.Key, path, fmt.Errorf("unknown key %s", unknownWord(key, []string{"url", "weight", "id"})))
		}
		if err != nil {
			return one, at(pair.Value, path+"."+key, err)
		}
	}
	switch {
	case one.URL == "":
		return one, at(item, path+".url", errors.New("the analyzer's URL is needed, such as http://analyzer-1:9001"))
	case one.Weight == 0:
		return one, at(item, path+".weight", errors.New("a positive number is needed: the analyzer's share of all messages, such as 0.5"))
	}
	return one, nil
}
