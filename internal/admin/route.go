package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/logstreamer/logstreamer/internal/credential"
)

// rights are the roles that a route needs.
type rights int

const (
	public   rights = iota // no credential
	read                   // the roles read and operate
	operate                // the role operate
	register               // the roles register and operate
)

// roles returns the roles that have the rights.
func (needed rights) roles() []credential.Role {
	switch needed {
	case read:
		return []credential.Role{credential.Read, credential.Operate}
	case register:
		return []credential.Role{credential.Register, credential.Operate}
	default:
		return []credential.Role{credential.Operate}
	}
}

// route is a method of a path.
type route struct {
	method, path string
	rights       rights
	query        string // the names of its parameters, separated by spaces
	stream       bool   // the response is streamed
	handle       func(*api, *request) (*response, error)
}

// routes are matched in their order. A path has {name} for one segment, or {name...} at its end for
// the remaining segments.
type routes []route

// find returns the route of a request and the text for the braces of its path, without
// escapes. Without a route, allow has the methods of the path; it is empty if there is no such
// path.
func (all routes) find(method, escapedPath string) (found *route, text, allow string) {
	first := slices.IndexFunc(all, func(r route) bool {
		_, ok := match(r.path, escapedPath)
		return ok
	})
	if first < 0 {
		return nil, "", ""
	}
	path := all[first].path
	text, _ = match(path, escapedPath)
	var methods []string
	for i := range all {
		if all[i].path != path {
			continue
		}
		methods = append(methods, all[i].method)
		if all[i].method == http.MethodGet && !all[i].stream {
			methods = append(methods, http.MethodHead)
		}
		if slices.Contains(methods, method) {
			return &all[i], text, ""
		}
	}
	return nil, "", strings.Join(methods, ", ")
}

// match matches a path, segment by segment.
func match(pattern, path string) (text string, ok bool) {
	before, rest, wildcard := strings.Cut(pattern, "{")
	if !wildcard {
		return "", path == pattern
	}
	path, ok = strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	name, after, _ := strings.Cut(rest, "}")
	if path, ok = strings.CutSuffix(path, after); !ok || path == "" {
		return "", false
	}
	if !strings.HasSuffix(name, "...") && strings.Contains(path, "/") {
		return "", false
	}
	text, err := url.PathUnescape(path)
	return text, err == nil
}
