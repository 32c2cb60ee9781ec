package console

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// commentLine matches a line that is a comment, including its end.
var commentLine = regexp.MustCompile(`(?m)^[ \t]*//.*\n?`)

// The supported forms of imports and exports; join returns an error for others.
var (
	importLine = regexp.MustCompile(`(?m)^import (\w+|\{[^}]*\}) from '(\./[^']+)';$`)
	exportName = regexp.MustCompile(`(?m)^export (const|class) (\w+)`)
	exportList = regexp.MustCompile(`(?m)(^|;)export ?\{([^}]*)\};$`)
	exportOne  = regexp.MustCompile(`(?m)(^|;)export default `)
	remaining  = regexp.MustCompile(`(?m)(^|;)(import|export)\b.*`)
)

// join makes one module of the module main and the modules that it imports, so that a browser makes
// one request instead of one for each module. Each module becomes the body of a function, after the
// modules that it imports, without the lines that are comments. The exports of a module are members of an object, so that they must not
// change after its body has run. The result exports all of these objects as modules, by path.
func join(main string, read func(name string) ([]byte, error)) ([]byte, error) {
	j := joiner{read: read, open: make(map[string]bool), done: make(map[string]bool)}
	j.text.WriteString("const modules = {};\n")
	if err := j.add(main); err != nil {
		return nil, err
	}
	j.text.WriteString("export {modules};\n")
	return j.text.Bytes(), nil
}

type joiner struct {
	read       func(name string) ([]byte, error)
	text       bytes.Buffer
	open, done map[string]bool // by path
}

// add writes a module after the modules that it imports.
func (j *joiner) add(name string) error {
	if j.done[name] {
		return nil
	}
	if j.open[name] {
		return fmt.Errorf("console: %s imports itself by way of another module", name)
	}
	j.open[name] = true
	text, err := j.read(name)
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	text = commentLine.ReplaceAll(text, nil)
	for _, found := range importLine.FindAllSubmatch(text, -1) {
		if err := j.add(path.Join(path.Dir(name), string(found[2]))); err != nil {
			return err
		}
	}
	body, exports := j.body(name, string(text))
	if left := remaining.FindString(body); left != "" {
		return fmt.Errorf("console: %s: %q is no form of an import or export that can be joined", name, left)
	}
	fmt.Fprintf(&j.text, "// %s\nmodules[%q] = (() => {\n%s\nreturn {%s};\n})();\n", name, name, strings.TrimSpace(body), strings.Join(exports, ", "))
	j.done[name] = true
	return nil
}

// body returns a module without its imports and exports, and the exports as members of an object.
func (j *joiner) body(name, text string) (body string, exports []string) {
	body = importLine.ReplaceAllStringFunc(text, func(line string) string {
		found := importLine.FindStringSubmatch(line)
		names := strings.ReplaceAll(found[1], " as ", ": ")
		if !strings.HasPrefix(names, "{") {
			names = "{default: " + names + "}"
		}
		return fmt.Sprintf("const %s = modules[%q];", names, path.Join(path.Dir(name), found[2]))
	})
	for _, found := range exportName.FindAllStringSubmatch(body, -1) {
		exports = append(exports, found[2])
	}
	body = exportName.ReplaceAllString(body, "$1 $2")
	for _, found := range exportList.FindAllStringSubmatch(body, -1) {
		for one := range strings.SplitSeq(found[2], ",") {
			local, exported, renamed := strings.Cut(strings.TrimSpace(one), " as ")
			if renamed {
				local = exported + ": " + local
			}
			exports = append(exports, local)
		}
	}
	body = exportList.ReplaceAllString(body, "$1")
	if exportOne.MatchString(body) {
		body, exports = exportOne.ReplaceAllString(body, "${1}const standard = "), append(exports, "default: standard")
	}
	return body, exports
}
