package admin

import (
	"fmt"

	"github.com/logstreamer/logstreamer/internal/console"
)

// pageRoutes returns the routes of the console. It has nothing of this distributor, so that it
// needs no credential: it asks for one. A link on a page of another site may lead to it; what
// the page reads from the API, it reads for itself.
func pageRoutes() routes {
	return routes{
		{"GET", "/", public, "", false, (*api).getPage},
		{"GET", console.Folder + "{file...}", public, "", false, (*api).getPage},
	}
}

func (a *api) getPage(*request) (*answer, error) { return &answer{page: a.console}, nil }

// demoRoutes returns the routes that only a demo has.
func demoRoutes() routes {
	return routes{{"POST", "/v1/demo/{id}", operate, "", false, (*api).changeDemo}}
}

// changeDemo stops or starts an analyzer of the demo.
func (a *api) changeDemo(r *request) (*answer, error) {
	var body struct {
		Action string `json:"action" required:"true"`
	}
	if err := r.decode(&body); err != nil {
		return nil, err
	}
	var err error
	switch body.Action {
	case "stop":
		err = a.demo.StopAnalyzer(r.name)
	case "start":
		err = a.demo.StartAnalyzer(r.name)
	default:
		return nil, refuseValue(malformed, "action", body.Action, "stop or start")
	}
	if err != nil {
		return nil, refuse(conflict, "%v", err)
	}
	return &answer{body: map[string]string{"result": fmt.Sprintf("%s: %s", r.name, body.Action)}}, nil
}
