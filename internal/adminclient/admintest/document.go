package admintest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is the OpenAPI document of the admin API.
type document struct {
	t    testing.TB
	root map[string]any

	mu       sync.Mutex
	compiler *jsonschema.Compiler // guarded by mu
}

const documentURL = "openapi.json"

func readDocument(t testing.TB) *document {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "admin", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	d := &document{t: t, root: parsed.(map[string]any), compiler: jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	if err := d.compiler.AddResource(documentURL, parsed); err != nil {
		t.Fatal(err)
	}
	return d
}

// operation is a method of a path, and where the document has it.
type operation struct {
	node    map[string]any
	pointer string
}

// find returns the operation that a request is for.
func (d *document) find(method, path string) (operation, bool) {
	best, found := "", false
	for template := range d.root["paths"].(map[string]any) {
		if matches(template, path) && (!found || strings.Count(template, "{") < strings.Count(best, "{")) {
			best, found = template, true
		}
	}
	if !found {
		return operation{}, false
	}
	item := d.root["paths"].(map[string]any)[best].(map[string]any)
	node, ok := item[strings.ToLower(method)].(map[string]any)
	return operation{node, "/paths/" + escape(best) + "/" + strings.ToLower(method)}, ok
}

// matches reports whether a path is one of the template; {key}, of overrides, has slashes.
func matches(template, path string) bool {
	if prefix, ok := strings.CutSuffix(template, "{key}"); ok {
		return strings.HasPrefix(path, prefix) && len(path) > len(prefix)
	}
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}

func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(key)
}

// resolve follows a reference.
func (d *document) resolve(node any, pointer string) (map[string]any, string) {
	object, _ := node.(map[string]any)
	reference, ok := object["$ref"].(string)
	if !ok {
		return object, pointer
	}
	pointer = strings.TrimPrefix(reference, "#")
	node = d.root
	for _, key := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		node = node.(map[string]any)[key]
	}
	return node.(map[string]any), pointer
}

// parameters returns the names of the query parameters of an operation.
func (d *document) parameters(o operation) map[string]bool {
	names := make(map[string]bool)
	list, _ := o.node["parameters"].([]any)
	for _, one := range list {
		parameter, _ := d.resolve(one, "")
		if parameter["in"] == "query" {
			names[parameter["name"].(string)] = true
		}
	}
	return names
}

// checkBody returns an error unless a request's body is one of the operation.
func (d *document) checkBody(o operation, mediaType string, body []byte) error {
	request, ok := o.node["requestBody"].(map[string]any)
	if !ok || len(body) == 0 {
		if ok && request["required"] == true {
			return fmt.Errorf("a body is required")
		}
		if !ok && len(body) > 0 {
			return fmt.Errorf("an unexpected body")
		}
		return nil
	}
	return d.check(o.pointer+"/requestBody/content/"+escape(mediaType)+"/schema", body)
}

// checkResponse returns an error unless a response is one of the operation.
func (d *document) checkResponse(o operation, status int, mediaType string, body []byte) error {
	code := fmt.Sprint(status)
	responses := o.node["responses"].(map[string]any)
	response, pointer := d.resolve(responses[code], o.pointer+"/responses/"+code)
	if response == nil {
		return fmt.Errorf("%d is not among its responses", status)
	}
	content, _ := response["content"].(map[string]any)
	if content[mediaType] == nil {
		return fmt.Errorf("%d has no %s", status, mediaType)
	}
	if mediaType != "application/json" && mediaType != "application/problem+json" {
		return nil
	}
	return d.check(pointer+"/content/"+escape(mediaType)+"/schema", body)
}

// checkEvent returns an error unless an event is one of the operation's stream.
func (d *document) checkEvent(o operation, kind string, data []byte) error {
	return d.check(o.pointer+"/responses/200/content/text~1event-stream/x-events/"+kind, data)
}

func (d *document) check(pointer string, body []byte) error {
	d.mu.Lock()
	schema, err := d.compiler.Compile(documentURL + "#" + pointer)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
