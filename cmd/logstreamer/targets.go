package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/logstreamer/logstreamer/internal/distributor"
	"github.com/logstreamer/logstreamer/internal/upstream"
)

// targets is the list of analyzers.
type targets struct{ to *[]distributor.Target }

func (v targets) String() string {
	if v.to == nil {
		return ""
	}
	var parts []string
	for _, t := range *v.to {
		parts = append(parts, t.URL+"="+strconv.FormatFloat(t.Weight, 'g', -1, 64))
	}
	return strings.Join(parts, ",")
}

func (v targets) Set(text string) error {
	parsed, err := distributor.ParseTargets(text)
	if errors.Is(err, upstream.ErrUser) {
		// Who sets a value shows it with the error, and the password with it. It is
		// refused when all settings are validated.
		parsed, err = []distributor.Target{{URL: upstream.WithoutUser(text)}}, nil
	}
	if err != nil {
		return err
	}
	*v.to = parsed
	return nil
}

// setList reads a list in which each item is URL=weight, or an object with url,
// weight and perhaps id.
func (v targets) setList(path string, list *ast.SequenceNode) error {
	var read []distributor.Target
	for i, item := range list.Values {
		one, err := targetOf(fmt.Sprintf("%s[%d]", path, i), item)
		if err != nil {
			return err
		}
		read = append(read, one...)
	}
	if len(read) == 0 {
		return at(list, path, errors.New("at least one analyzer is needed, such as http://analyzer-1:9001=0.5"))
	}
	distributor.NameTargets(read)
	*v.to = read
	return nil
}

func targetOf(path string, item ast.Node) ([]distributor.Target, error) {
	switch item.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		one, err := targetObject(path, item)
		return []distributor.Target{one}, err
	}
	text, err := plain(item)
	if err != nil {
		return nil, at(item, path, errors.New("URL=weight, or an object with url and weight, is needed"))
	}
	parsed, err := distributor.ParseTargets(text)
	if err != nil {
		return nil, at(item, path, err)
	}
	for i := range parsed {
		parsed[i].ID = "" // it depends on the others
	}
	return parsed, nil
}

func targetObject(path string, item ast.Node) (distributor.Target, error) {
	var one distributor.Target
	pairs, err := keysOf(item)
	if err != nil {
		return one, err
	}
	for _, pair := range pairs {
		key := pair.Key.GetToken().Value
		text, err := plain(pair.Value)
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
			return one, at(pair.Key, path, fmt.Errorf("unknown key %s", unknown(key, []string{"url", "weight", "id"})))
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
