// Package internal has the test of the direction of imports.
package internal

import (
	"go/build"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/logstreamer/logstreamer/internal/"
	anyOwn = "any package of this directory"
)

// forbidden has, for each package and those below it, what neither they nor the packages that they
// import may import: packages of this directory, with those below them, and others.
var forbidden = map[string][]string{
	"packet":      {anyOwn},
	"fairshare":   {anyOwn},
	"breaker":     {anyOwn},
	"http1":       {anyOwn},
	"journal":     {"intake", "protocol", "router", "server", "sink", "upstream", "http1"},
	"intake":      {"protocol", "router", "server", "sink", "upstream", "http1", "problem", "net/http", "github.com/valyala/fasthttp"},
	"server":      {"packet", "intake", "journal", "protocol", "problem", "router"},
	"protocol":    {"router", "sink", "upstream", "distributor"},
	"router":      {"intake", "protocol", "server", "sink/", "http1", "problem", "net/http"},
	"upstream":    {"intake", "journal", "protocol", "router", "server", "sink/", "http1", "net/http"},
	"sink":        {"intake", "journal", "router", "upstream", "server", "distributor", "protocol/record", "protocol/receiver"},
	"distributor": {"admin", "cluster", "console", "control", "ctl", "demo", "top"},
	"control":     {"admin", "cluster", "console"},
}

// Imports point in one direction: from what receives packets to what delivers them, and from what
// composes to what it composes.
func TestImports(t *testing.T) {
	imports := readImports(t)
	for from, all := range forbidden {
		for _, name := range slices.Sorted(maps.Keys(imports)) {
			if !within(name, from) || strings.HasSuffix(name, "test") {
				continue
			}
			for imported, path := range reachable(imports, name) {
				_, own := imports[imported]
				for _, rule := range all {
					if (within(imported, rule) || rule == anyOwn && own) && !within(imported, from) {
						t.Errorf("%s must not import %s: %s", from, imported, path)
					}
				}
			}
		}
	}
}

// readImports returns what each package of this directory imports, without the prefix of the module.
func readImports(t *testing.T) map[string][]string {
	t.Helper()
	imports := make(map[string][]string)
	err := filepath.WalkDir(".", func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || entry.Name() == "testdata" {
			return err
		}
		one, err := build.ImportDir(dir, 0)
		if _, none := err.(*build.NoGoError); none {
			return nil
		}
		name := filepath.ToSlash(dir)
		imports[name] = []string{}
		for _, path := range one.Imports {
			imports[name] = append(imports[name], strings.TrimPrefix(path, module))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

// reachable returns what a package imports, directly or by others of this directory, each with the
// packages in between.
func reachable(imports map[string][]string, name string) map[string]string {
	paths := map[string]string{name: name}
	for next := []string{name}; len(next) > 0; next = next[1:] {
		for _, imported := range imports[next[0]] {
			if _, known := paths[imported]; !known {
				paths[imported] = paths[next[0]] + " → " + imported
				next = append(next, imported)
			}
		}
	}
	delete(paths, name)
	return paths
}

// within reports whether a package is that of a rule or below it. A rule that ends with a slash has
// only those below.
func within(name, rule string) bool {
	return name == rule || strings.HasPrefix(name, strings.TrimSuffix(rule, "/")+"/")
}
