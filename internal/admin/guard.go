package admin

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// contentSecurityPolicy is the policy of responses that browsers must not render.
const contentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// credentialInterval is the time between two checks of the credential of an open stream.
const credentialInterval = 2 * time.Second

// ServeHTTP serves a request: it finds the route and checks the credential and the role. Before it
// writes the response, it records in the audit log each request that changes something, that would
// change something, or that was denied. Reads end when the server stops; changes are completed.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")

	guarded := &request{Request: r, query: &query{}}
	defer a.recover(w, guarded)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		guarded.record = &record{}
	} else {
		defer context.AfterFunc(a.stopping, cancel)()
		r = r.WithContext(ctx)
		guarded.Request = r
	}
	result, err := a.serve(w, guarded)
	refused := (*refusal)(nil)
	if err != nil {
		refused = refusalOf(err)
	}
	a.finish(guarded, result, refused)
	if refused != nil {
		refused.writeTo(w, r)
		return
	}
	if result.stream != nil {
		go a.endWithCredential(r, guarded.caller, cancel)
	}
	result.writeTo(w, r)
}

// endWithCredential ends a stream when the credential of its caller expires, is withdrawn or
// has another role. An open stream counts as use of a session. It returns when the context of
// the request ends.
func (a *api) endWithCredential(r *http.Request, started *caller, end context.CancelFunc) {
	ticker := time.NewTicker(credentialInterval)
	defer ticker.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case now := <-ticker.C:
			if caller, _ := a.access.authenticate(r, now); caller == nil || caller.Name != started.Name || caller.Role != started.Role {
				end()
			}
		}
	}
}

// recover turns a panic into a response, and records the request if it changes something.
func (a *api) recover(w http.ResponseWriter, r *request) {
	cause := recover()
	if cause == nil {
		return
	}
	a.metrics.panics.Inc()
	a.logger.Error("a request to the admin API ended in a panic", "method", r.Method, "path", r.URL.EscapedPath(), "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	refused := refuse(internal, "this is a defect; the log of the distributor has the details")
	a.finish(r, nil, refused)
	refused.writeTo(w, r.Request)
}

// serve checks and handles a request.
func (a *api) serve(w http.ResponseWriter, r *request) (*response, error) {
	found, name, allow := a.routes.find(r.Method, r.URL.EscapedPath())
	needed := read
	if found != nil {
		needed = found.rights
	}
	if err := a.admit(r, needed); err != nil {
		return nil, err
	}
	if found == nil {
		return nil, refuseRoute(r.Request, allow)
	}
	r.name = name
	if err := a.receive(w, r, found); err != nil {
		return nil, err
	}
	return found.handle(a, r)
}

// admit authenticates the caller and refuses one whose role does not allow the request.
func (a *api) admit(r *request, needed rights) error {
	caller, wrong := a.access.authenticate(r.Request, time.Now())
	r.caller = caller
	byBearer := caller != nil && caller.by == byToken
	if !byBearer && !hostAllowed(r.Host, a.access.rules.Load().hosts) {
		return refuse(hostNotAllowed, "the host %s is not allowed: it must be localhost, an address or one of ADMIN_HOSTS", shown(r.Host))
	}
	if !byBearer && (needed != public || r.record != nil) && a.isCrossOrigin(r.Request) {
		return refuse(crossOrigin, "a browser sent this request for a page of another site")
	}
	switch {
	case needed == public:
		return nil
	case wrong:
		return a.access.failed(r.Request, "the token is not valid")
	case caller == nil, caller.by == byNothing && !a.local:
		return refuse(unauthorized, "a token, a session or a client certificate is needed")
	}
	if needed == read && r.record != nil { // a method that no path has
		needed = operate
	}
	if roles := needed.roles(); !slices.Contains(roles, caller.Role) {
		return refuse(forbidden, "%s has the role %s: this needs the role %s", caller.Name, caller.Role, roles[len(roles)-1])
	}
	return nil
}

// isCrossOrigin reports whether a browser sent a request for a page of another origin. Reads are
// checked as well, because such a page could exhaust the streams.
func (a *api) isCrossOrigin(r *http.Request) bool {
	unsafe := *r
	unsafe.Method = http.MethodPost
	return a.crossOrigin.Check(&unsafe) != nil
}

func refuseRoute(r *http.Request, allow string) *refusal {
	if allow == "" {
		return refuse(notFound, "there is no %s; /v1/openapi.json lists what there is", shown(r.URL.EscapedPath()))
	}
	refused := refuse(methodNotAllowed, "the path allows %s", allow)
	refused.allow = allow
	return refused
}

// receive reads the parameters and the body. The required content type makes browsers ask first
// whether a page of another site may send the request, which is denied.
func (a *api) receive(w http.ResponseWriter, r *request, found *route) (err error) {
	if r.query, err = newQuery(r.URL.RawQuery, strings.Fields(found.query)); err != nil {
		r.query = &query{}
		return err
	}
	if r.record == nil {
		return nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(mediaTypes, media) || len(r.Header.Values("Content-Type")) > 1 {
		refused := refuse(unsupportedMediaType, "Content-Type is %s: it must be %s, without a body too", shown(r.Header.Get("Content-Type")), strings.Join(mediaTypes, " or "))
		refused.Key, refused.Allowed = "Content-Type", strings.Join(mediaTypes, ", ")
		return refused
	}
	limit := int64(maxBodyBytes)
	if found.rights == public {
		limit = maxPublicBytes
	}
	r.body, err = readBody(w, r.Request, limit)
	return err
}

var mediaTypes = []string{"application/json", "application/merge-patch+json"}

// finish records and counts a request.
func (a *api) finish(r *request, result *response, refused *refusal) {
	status, reason := http.StatusOK, code("")
	if refused != nil {
		status, reason = refused.Status, refused.Code
	} else if result.status != 0 {
		status = result.status
	}
	if denied := a.metrics.count(status, reason); denied && r.record == nil {
		r.record = &record{}
	}
	if r.record == nil {
		return
	}
	r.record.Time, r.record.Status, r.record.Code = time.Now().UTC(), status, string(reason)
	r.record.Address, r.record.Method, r.record.Path = clientName(r.Request), r.Method, r.URL.EscapedPath()
	r.record.Query, r.record.IfMatch = url.Values(r.values).Encode(), r.Header.Get("If-Match")
	if r.caller != nil {
		r.record.Actor, r.record.Role, r.record.By = r.caller.Name, string(r.caller.Role), string(r.caller.by)
	}
	a.audit.add(*r.record)
}
