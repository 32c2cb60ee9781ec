package ctl

import (
	"context"
	"maps"
	"slices"

	"github.com/logstreamer/logstreamer/internal/adminapi"
	"github.com/logstreamer/logstreamer/internal/adminclient"
)

var (
	analyzerID = argument{"ID", completeAnalyzers}
	emitterID  = argument{"EMITTER", completeEmitters}
	deadLetter = argument{"ID", nil}
)

// specs declares the commands.
func specs() []spec {
	return append(append(readSpecs(), analyzerSpecs()...), append(configurationSpecs(), packetSpecs()...)...)
}

func readSpecs() []spec {
	return []spec{
		{name: "status", help: "show state, ledger, rates, revision and the last reload", flags: []string{"json"}, run: showStatus},
		{name: "cluster", help: "show the distributors that share the journal, their sum and what the streams hold", flags: []string{"json"}, run: showCluster},
		{name: "analyzers", help: "show all analyzers, or one with its last drain", args: []argument{{"[ID]", completeAnalyzers}}, flags: []string{"json"}, run: showAnalyzers},
		{name: "drains", help: "show the drains under way and the proof of the last one of each analyzer", flags: []string{"json"}, run: showDrains},
		{name: "scale", help: "show how many analyzers each group, or one group, needs, and why", args: []argument{{"[GROUP]", completeGroups}}, flags: []string{"json"}, run: showScale},
		{name: "backlog", help: "show what is not yet delivered: since when, where, whose", flags: []string{"json", "limit"}, run: showBacklog},
		{name: "refusals", help: "show the emitters that are refused most lately, and why", flags: []string{"json", "limit"}, run: showRefusals},
		{name: "history", help: "print the last 900 snapshots, one a second, as JSON columns", run: showDocument("history")},
		{name: "session", help: "print the name and the role of the caller, as the server sees them", run: showDocument("session")},
		{name: "events", help: "show changes and their actors", flags: []string{"json", "after", "limit", "follow"}, run: showEvents},
	}
}

func analyzerSpecs() []spec {
	return []spec{
		{name: "add", help: "add an analyzer, which starts slowly", args: []argument{{"ID", nil}, {"URL", nil}, {"WEIGHT", nil}}, flags: withChangeFlags(), run: addAnalyzer},
		{name: "remove", help: "drain an analyzer, then remove it", args: []argument{analyzerID}, flags: withChangeFlags("deadline", "force", "wait"), run: removeAnalyzer},
		{name: "replace", help: "replace the list of analyzers by that of a JSON file, or - for standard input", args: []argument{{"FILE", nil}}, flags: withChangeFlags("force", "wait"), run: replaceAnalyzers},
		{name: "weight", help: "change the weight of an analyzer", args: []argument{analyzerID, {"WEIGHT", nil}}, flags: withChangeFlags(), run: setWeight},
		{name: "drain", help: "give an analyzer no new packets and let it finish those it has", args: []argument{analyzerID}, flags: withChangeFlags("deadline", "force", "wait"), run: setState("drain")},
		{name: "maint", help: "take an analyzer out at once: its queue is rerouted to the others, and probes end", args: []argument{analyzerID}, flags: withChangeFlags("force", "wait"), run: setState("maint")},
		{name: "ready", help: "end drain or maint", args: []argument{analyzerID}, flags: withChangeFlags(), run: setState("ready")},
		{name: "breaker", help: "close the breaker of an analyzer, or hold it open", sub: []spec{
			{name: "reset", help: "close the breaker", args: []argument{analyzerID}, flags: withChangeFlags(), run: breaker("reset")},
			{name: "open", help: "hold the breaker open for -ttl", args: []argument{analyzerID}, flags: withChangeFlags(), run: breaker("open")},
		}},
	}
}

func configurationSpecs() []spec {
	return []spec{
		{name: "settings", help: "show or change settings of the running distributor", sub: []spec{
			{name: "get", help: "show settings, where they come from and when they expire", args: []argument{{"[KEY…]", completeSettings}}, flags: []string{"json"}, run: showSettings},
			{name: "set", help: "change settings, all or none", args: []argument{{"KEY=VALUE…", completeSettings}}, flags: withChangeFlags(), run: setSettings},
			{name: "revert", help: "return settings to the values of file and environment", args: []argument{{"KEY…", completeSettings}}, flags: withChangeFlags(), run: revertSettings},
		}},
		{name: "limits", help: "show or change the rate limits of single emitters", sub: []spec{
			{name: "get", help: "show the limits, or that of one emitter", args: []argument{{"[EMITTER]", completeEmitters}}, flags: []string{"json"}, run: showLimits},
			{name: "set", help: "limit an emitter to RATE messages a second, and BURST at once", args: []argument{emitterID, {"RATE", nil}, {"[BURST]", nil}}, flags: withChangeFlags(), run: setLimit},
			{name: "clear", help: "give an emitter the default limit again", args: []argument{emitterID}, flags: withChangeFlags(), run: clearLimit},
		}},
		{name: "overrides", help: "show what differs from file, environment and flags", flags: []string{"json"}, run: showOverrides},
		{name: "revert", help: "revert an override, or -all", args: []argument{{"[PATH]", completeOverrides}}, flags: withChangeFlags("all", "force", "wait"), run: revert},
		{name: "config", help: "print the effective configuration as a file, secrets masked", run: showDocument("config")},
		{name: "reload", help: "read file, certificates and tokens again, all or nothing", flags: []string{"json", "dry-run", "reason", "if-match"}, run: reload},
		{name: "upgrade", help: "replace the process by the new binary without refusing a connection", flags: []string{"json", "dry-run", "reason"}, run: upgrade},
		{name: "openapi", help: "print the description of the admin API", run: showDocument("openapi.json")},
	}
}

func packetSpecs() []spec {
	selected := []string{"json", "dry-run", "reason", "filter-reason", "analyzer", "emitter", "expect"}
	return []spec{
		{name: "dead-letters", help: "list, show, replay or delete dead letters", sub: []spec{
			{name: "list", help: "list dead letters", flags: []string{"json", "filter-reason", "analyzer", "emitter", "limit"}, run: listDeadLetters},
			{name: "show", help: "show one with its packet", args: []argument{deadLetter}, flags: []string{"json"}, run: showDeadLetter},
			{name: "replay", help: "send dead letters again: the named ones, or those that a filter selects", args: []argument{{"[ID…]", nil}}, flags: append([]string{"rate", "wait"}, selected...), run: replayDeadLetters},
			{name: "replays", help: "show replays", flags: []string{"json"}, run: listReplays},
			{name: "cancel", help: "cancel a replay", args: []argument{{"REPLAY", nil}}, flags: []string{"json", "reason"}, run: cancelReplay},
			{name: "delete", help: "delete dead letters: the named ones, or those that a filter selects", args: []argument{{"[ID…]", nil}}, flags: selected, run: deleteDeadLetters},
		}},
		{name: "explain", help: "explain why packets go where they go", sub: []spec{
			{name: "analyzer", help: "explain the share of an analyzer", args: []argument{analyzerID}, flags: []string{"json"}, run: explainAnalyzer},
			{name: "packet", help: "explain where a packet went", args: []argument{emitterID, {"PACKET", nil}}, flags: []string{"json"}, run: explainPacket},
			{name: "next", help: "show which analyzers would get the next packets", flags: []string{"json", "messages", "n"}, run: explainNext},
		}},
		{name: "tap", help: "show packets as they pass", flags: []string{"json", "sample", "emitter", "analyzer", "level", "stage", "bodies"}, run: tap},
		{name: "trace", help: "record routing for logstreamer simulate", flags: []string{"for", "past"}, run: trace},
	}
}

func completeAnalyzers(ctx context.Context, client *adminclient.Client) []string {
	var all adminapi.Analyzers
	if client.Get(ctx, adminclient.Path("analyzers"), nil, &all) != nil {
		return nil
	}
	var ids []string
	for _, a := range all.Analyzers {
		ids = append(ids, a.ID)
	}
	return ids
}

func completeEmitters(ctx context.Context, client *adminclient.Client) []string {
	var backlog adminapi.Backlog
	if client.Get(ctx, adminclient.Path("backlog"), nil, &backlog) != nil {
		return nil
	}
	var ids []string
	for _, e := range backlog.ByEmitter {
		ids = append(ids, e.Emitter)
	}
	return ids
}

func completeSettings(ctx context.Context, client *adminclient.Client) []string {
	var all adminapi.Settings
	if client.Get(ctx, adminclient.Path("settings"), nil, &all) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(all.Settings))
}

func completeOverrides(ctx context.Context, client *adminclient.Client) []string {
	var all adminapi.Overrides
	if client.Get(ctx, adminclient.Path("overrides"), nil, &all) != nil {
		return nil
	}
	var paths []string
	for _, o := range all.Overrides {
		paths = append(paths, o.Path)
	}
	return paths
}
