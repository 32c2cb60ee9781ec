package admin

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"
)

// document is openapi.json, which all responses of the tests must match.
var document = newContract()

// contract validates requests and responses, and records which responses occurred. It may be used
// concurrently.
type contract struct {
	spec     map[string]any
	compiler *jsonschema.Compiler

	mu       sync.Mutex // guards the fields below
	compiled map[string]*jsonschema.Schema
	seen     map[string]bool // operation and status
}

func newContract() *contract {
	c := &contract{compiler: jsonschema.NewCompiler(), compiled: make(map[string]*jsonschema.Schema), seen: make(map[string]bool)}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(openapi))
	if err == nil {
		c.spec = value.(map[string]any)
		c.compiler.AssertFormat()
		c.compiler.DefaultDraft(jsonschema.Draft2020)
		err = c.compiler.AddResource("openapi.json", value)
	}
	if err != nil {
		panic(err)
	}
	return c
}

// pointer is the path of a value in the document.
type pointer []string

func (p pointer) String() string {
	text := "openapi.json#"
	for _, key := range p {
		text += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
	}
	return text
}

// at returns the value at a pointer, following references, and the pointer of that value.
func (c *contract) at(p pointer) (map[string]any, pointer) {
	value := any(c.spec)
	for i, key := range p {
		object, _ := value.(map[string]any)
		if ref, isRef := object["$ref"].(string); isRef {
			return c.at(append(refPointer(ref), p[i:]...))
		}
		value = object[key]
	}
	object, _ := value.(map[string]any)
	if ref, isRef := object["$ref"].(string); isRef {
		return c.at(refPointer(ref))
	}
	return object, p
}

func refPointer(ref string) pointer { return strings.Split(strings.TrimPrefix(ref, "#/"), "/") }

// validate validates JSON against the schema at a pointer.
func (c *contract) validate(p pointer, text []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	schema := c.compiled[p.String()]
	if schema == nil {
		if schema, err = c.compiler.Compile(p.String()); err != nil {
			return err
		}
		c.compiled[p.String()] = schema
	}
	return schema.Validate(value)
}

// operation returns the operation of a request, or nil.
func (c *contract) operation(method, path string) (operation map[string]any, at pointer) {
	found, _, _ := allRoutes().find(method, path)
	if found == nil {
		return nil, nil
	}
	at = pointer{"paths", strings.ReplaceAll(found.path, "...", ""), strings.ToLower(found.method)}
	operation, _ = c.at(at)
	return operation, at
}

// answered checks a response.
func (c *contract) answered(r *http.Request, response *http.Response, body []byte) error {
	problem := pointer{"components", "schemas", "Problem"}
	operation, at := c.operation(r.Method, r.URL.EscapedPath())
	status := fmt.Sprint(response.StatusCode)
	if operation == nil {
		if status == "404" || status == "405" || status == "401" || status == "403" || status == "429" {
			return c.validate(problem, body)
		}
		return fmt.Errorf("there is no such operation")
	}
	at = append(at, "responses", status)
	described, _ := c.at(at)
	if described == nil {
		return fmt.Errorf("the status is not documented")
	}
	c.mu.Lock()
	c.seen[operation["operationId"].(string)+" "+status] = true
	c.mu.Unlock()
	headers, headersAt := c.at(append(slices.Clone(at), "headers"))
	for name := range headers {
		header, _ := c.at(append(slices.Clone(headersAt), name))
		if header["required"] == true && response.Header.Get(name) == "" {
			return fmt.Errorf("the header %s is missing", name)
		}
	}
	return c.content(append(at, "content"), r, response.Header.Get("Content-Type"), body)
}

// content checks the body of a response.
func (c *contract) content(at pointer, r *http.Request, contentType string, body []byte) error {
	content, at := c.at(at)
	if content == nil {
		if len(body) > 0 {
			return fmt.Errorf("there is a body")
		}
		return nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || content[media] == nil {
		return fmt.Errorf("the content type is %q", contentType)
	}
	at = append(slices.Clone(at), media)
	switch {
	case r.Method == http.MethodHead:
		return nil
	case media == eventStream:
		return c.events(append(at, "x-events"), body)
	case strings.HasSuffix(media, "json") && media != "application/x-ndjson":
		return c.validate(append(at, "schema"), body)
	}
	return nil
}

// events checks a stream of server-sent events, except for an event that is cut off.
func (c *contract) events(at pointer, body []byte) error {
	for block, rest, whole := strings.Cut(string(body), "\n\n"); whole; block, rest, whole = strings.Cut(rest, "\n\n") {
		var event, data string
		for line := range strings.Lines(block + "\n") {
			line = strings.TrimSuffix(line, "\n")
			if name, value, _ := strings.Cut(line, ": "); name == "event" {
				event = value
			} else if name == "data" {
				data = value
			}
		}
		if event == "" {
			continue // a comment
		}
		if err := c.validate(append(slices.Clone(at), event), []byte(data)); err != nil {
			return fmt.Errorf("the event %s: %w: %s", event, err, data)
		}
	}
	return nil
}

// requested checks that a body that was accepted is documented.
func (c *contract) requested(r *http.Request, body []byte) error {
	_, at := c.operation(r.Method, r.URL.EscapedPath())
	if described, at := c.at(append(slices.Clone(at), "requestBody", "content", "application/json", "schema")); described != nil && len(body) > 0 {
		return c.validate(at, body)
	}
	return nil
}

// checking is a transport that checks each response when its body has been read or closed.
type checking struct {
	testing.TB
	http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c checking) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	response, err := c.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = &checkedBody{ReadCloser: response.Body, check: func(received []byte) {
		c.Helper()
		err := document.answered(r, response, received)
		if err == nil && response.StatusCode/100 == 2 {
			err = document.requested(r, sent)
		}
		if err != nil {
			c.Errorf("%s %s: %s %.2000s: %v", r.Method, r.URL.RequestURI(), response.Status, received, err)
		}
	}}
	return response, nil
}

type checkedBody struct {
	io.ReadCloser
	received bytes.Buffer
	check    func([]byte)
	once     sync.Once
}

// Read implements io.Reader.
func (b *checkedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.received.Write(p[:n])
	return n, err
}

// Close implements io.Closer.
func (b *checkedBody) Close() error {
	b.once.Do(func() { b.check(b.received.Bytes()) })
	return b.ReadCloser.Close()
}

// Each route is documented, and no other route is.
func TestDocumentHasTheRoutes(t *testing.T) {
	documented := make(map[string]bool)
	for path, methods := range document.spec["paths"].(map[string]any) {
		for method := range methods.(map[string]any) {
			if method != "parameters" {
				documented[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	for _, r := range allRoutes() {
		path := strings.ReplaceAll(r.path, "...", "")
		if !documented[r.method+" "+path] {
			t.Errorf("%s %s is not documented", r.method, path)
		}
		delete(documented, r.method+" "+path)
		var known []string
		for _, at := range []pointer{{"paths", path}, {"paths", path, strings.ToLower(r.method)}} {
			object, at := document.at(at)
			parameters, _ := object["parameters"].([]any)
			for i := range parameters {
				one := parameters[i].(map[string]any)
				if ref, isRef := one["$ref"].(string); isRef {
					one, _ = document.at(refPointer(ref))
				}
				if one["in"] == "query" {
					known = append(known, one["name"].(string))
				}
				_ = at
			}
		}
		taken := strings.Fields(r.query)
		slices.Sort(known)
		slices.Sort(taken)
		if !slices.Equal(known, taken) {
			t.Errorf("%s %s: documented parameters are %v, taken are %v", r.method, path, known, taken)
		}
	}
	for one := range documented {
		t.Errorf("%s is documented and does not exist", one)
	}
}

// Each code is documented, and each schema can be compiled.
func TestCodesAndSchemasAreDocumented(t *testing.T) {
	schema, _ := document.at(pointer{"components", "schemas", "Problem", "properties", "code"})
	codes := schema["enum"].([]any)
	for c := range definitions {
		if !slices.Contains(codes, any(string(c))) {
			t.Errorf("the code %s is not documented", c)
		}
	}
	for name := range document.spec["components"].(map[string]any)["schemas"].(map[string]any) {
		if _, err := document.compiler.Compile(pointer{"components", "schemas", name}.String()); err != nil {
			t.Error(err)
		}
	}
}

// impossible has the documented responses that tests cannot get, by operation and status.
var impossible = map[string]string{}

// missing returns the documented responses that no test got.
func (c *contract) missing() (missing []string) {
	for _, methods := range c.spec["paths"].(map[string]any) {
		for _, value := range methods.(map[string]any) {
			operation, isOperation := value.(map[string]any)
			if !isOperation {
				continue // parameters
			}
			for status := range operation["responses"].(map[string]any) {
				name := operation["operationId"].(string) + " " + status
				if !c.seen[name] && impossible[name] == "" {
					missing = append(missing, name)
				}
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// covering runs the tests, and fails if a documented response was never got.
type covering struct{ *testing.M }

// Run implements goleak.TestingM.
func (c covering) Run() int {
	exit := c.M.Run()
	if missing := document.missing(); exit == 0 && allTestsRan() && len(missing) > 0 {
		text, _ := json.MarshalIndent(missing, "", " ")
		fmt.Fprintf(os.Stderr, "FAIL: these documented answers were not got by any test: %s\n", text)
		return 1
	}
	return exit
}

// allTestsRan reports whether no flag selected some of the tests.
func allTestsRan() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(covering{m}) }
