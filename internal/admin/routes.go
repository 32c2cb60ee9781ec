package admin

// allRoutes returns the routes of the API. Of two paths that match the same requests the more
// specific one comes first.
func allRoutes() routes {
	return append(routes{
		{"GET", "/v1/status", read, newer, false, (*api).getStatus},
		{"GET", "/v1/cluster", read, "", false, (*api).getCluster},
		{"GET", "/v1/analyzers", read, newer, false, (*api).listAnalyzers},
		{"POST", "/v1/analyzers", operate, "dry_run", false, (*api).addAnalyzer},
		{"PUT", "/v1/analyzers", operate, "dry_run", false, (*api).replaceAnalyzers},
		{"GET", "/v1/analyzers/{id}", read, newer, false, (*api).getAnalyzer},
		{"PATCH", "/v1/analyzers/{id}", operate, "dry_run", false, (*api).patchAnalyzer},
		{"DELETE", "/v1/analyzers/{id}", operate, "dry_run deadline ttl reason force", false, (*api).removeAnalyzer},
		{"POST", "/v1/analyzers/{id}/breaker", operate, "dry_run", false, (*api).setBreaker},
		{"GET", "/v1/leases", read, "", false, (*api).listLeases},
		{"PUT", "/v1/leases/{id}", register, "dry_run", false, (*api).putLease},
		{"DELETE", "/v1/leases/{id}", register, "dry_run deadline wait reason", false, (*api).endLease},
		{"GET", "/v1/drains", read, "", false, (*api).listDrains},
		{"GET", "/v1/drains/{operation}", read, "wait", false, (*api).getDrain},
		{"GET", "/v1/scale", read, "group", false, (*api).getScale},
		{"GET", "/v1/settings", read, newer, false, (*api).getSettings},
		{"PATCH", "/v1/settings", operate, "dry_run", false, (*api).patchSettings},
		{"GET", "/v1/limits", read, newer + " emitter", false, (*api).getLimits},
		{"PUT", "/v1/limits", operate, "dry_run emitter", false, (*api).setLimit},
		{"DELETE", "/v1/limits", operate, "dry_run emitter ttl reason", false, (*api).clearLimit},
		{"GET", "/v1/overrides", read, newer, false, (*api).listOverrides},
		{"DELETE", "/v1/overrides", operate, "dry_run ttl reason force", false, (*api).revert},
		{"GET", "/v1/overrides/{key...}", read, newer, false, (*api).getOverride},
		{"DELETE", "/v1/overrides/{key...}", operate, "dry_run ttl reason force", false, (*api).revert},
		{"GET", "/v1/config", read, newer + " format", false, (*api).getConfig},
		{"POST", "/v1/reload", operate, "dry_run", false, (*api).reload},
		{"POST", "/-/reload", operate, "dry_run", false, (*api).reload},
		{"POST", "/v1/upgrade", operate, "dry_run", false, (*api).upgrade},
		{"GET", "/v1/backlog", read, "top", false, (*api).getBacklog},
		{"GET", "/v1/refusals", read, "top emitter", false, (*api).getRefusals},
		{"GET", "/v1/dead-letters", read, "after limit reason analyzer emitter", false, (*api).listDeadLetters},
		{"POST", "/v1/dead-letters/replay", operate, "dry_run", false, (*api).replayDeadLetters},
		{"POST", "/v1/dead-letters/delete", operate, "dry_run", false, (*api).deleteDeadLetters},
		{"GET", "/v1/dead-letters/replays", read, "", false, (*api).listReplays},
		{"GET", "/v1/dead-letters/replays/{id}", read, "wait", false, (*api).getReplay},
		{"DELETE", "/v1/dead-letters/replays/{id}", operate, "", false, (*api).cancelReplay},
		{"GET", "/v1/dead-letters/{id}", operate, "", false, (*api).getDeadLetter},
		{"GET", "/v1/explain", read, "emitter packet messages n analyzer", false, (*api).explain},
		{"GET", "/v1/trace", read, "duration past", true, (*api).trace},
		{"GET", "/v1/tap", read, "sample emitter analyzer level stage bodies", true, (*api).tap},
		{"GET", "/v1/events", read, "after limit wait", false, (*api).listEvents},
		{"GET", "/v1/history", read, "", false, (*api).getHistory},
		{"GET", "/v1/stream", read, "overview", true, (*api).streamHistory},
	}, callerRoutes()...)
}

// callerRoutes returns the routes of the caller and of the API itself: sessions, the description of
// the API, and probes.
func callerRoutes() routes {
	return routes{
		{"GET", "/v1/session", read, "", false, (*api).getSession},
		{"POST", "/v1/session", public, "", false, (*api).login},
		{"DELETE", "/v1/session", public, "", false, (*api).logout},
		{"GET", "/v1/openapi.json", read, "", false, (*api).getOpenAPI},
		{"GET", "/-/ready", public, "", false, (*api).getReady},
		{"GET", "/-/healthy", public, "", false, (*api).getHealthy},
	}
}
