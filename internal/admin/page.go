package admin

import (
	"fmt"

	"github.com/logstreamer/logstreamer/internal/console"
)

// pageRoutes returns the routes of the console. The page has no data of this distributor and
// prompts for a credential, so that it needs none. A link on a page of another site may lead to the
// page, because the page reads the API itself.
func pageRoutes() routes {
	return routes{
		{"GET", "/", public, "", false, (*api).getPage},
		{"GET", console.Dir + "{file...}", public, "", false, (*api).getPage},
	}
}

func (a *api) getPage(r *request) (*response, error) {
	if !a.console.Has(r.URL.Path) {
		return nil, refuseRoute(r.Request, "")
	}
	return &response{page: a.console}, nil
}

// demoRoutes returns the routes that only a demo has.
func demoRoutes() routes {
	return routes{{"POST", "/v1/demo/{id}", operate, "", false, (*api).changeDemo}}
}

// changeDemo stops or starts an analyzer of the demo.
func (a *api) changeDemo(r *request) (*response, error) {
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
		return nil, refuseValue("action", body.Action, "stop or start")
	}
	if err != nil {
		return nil, refuse(conflict, "%v", err)
	}
	return &response{body: map[string]string{"result": fmt.Sprintf("%s: %s", r.name, body.Action)}}, nil
}
