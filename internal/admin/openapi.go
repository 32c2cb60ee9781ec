package admin

import _ "embed"

// openapi describes the API. It is written by hand, and its names of members are those that
// clients are written against.
//
//go:embed openapi.json
var openapi []byte

func (a *api) getOpenAPI(*request) (*response, error) {
	return &response{contentType: "application/json", text: openapi}, nil
}
