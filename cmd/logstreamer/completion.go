package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/ctl"
	"github.com/logstreamer/logstreamer/internal/printable"
)

// completionScripts call logstreamer completion words with the words of the command line up to
// the cursor, and offer the lines that it prints.
var completionScripts = map[string]string{
	"bash": `_logstreamer() {
	local line="${COMP_LINE:0:COMP_POINT}" words word current prefix
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=("")
	# Bash replaces only what follows the last colon or equals sign of the word.
	word="${words[${#words[@]}-1]}" current="${COMP_WORDS[COMP_CWORD]}"
	[[ $current == [:=] ]] && current=""
	prefix="${word%"$current"}"
	local IFS=$'\n'
	COMPREPLY=($("$1" completion words -- "${words[@]:1}" 2>/dev/null))
	COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
}
complete -o default -F _logstreamer logstreamer
`,
	"zsh": `#compdef logstreamer
_logstreamer() {
	local -a candidates
	candidates=("${(@f)$("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n "${candidates[1]}" ]]; then compadd -a candidates; else _files; fi
}
compdef _logstreamer logstreamer
`,
	"fish": `function __logstreamer_words
	set -l words (commandline -opc)
	$words[1] completion words -- $words[2..] (commandline -ct) 2>/dev/null
end
complete -c logstreamer -a '(__logstreamer_words)'
`,
}

// completionCommand prints what makes shells complete commands, flags and, by asking the
// distributor, the ids of analyzers and the like.
func completionCommand(p process) *ffcli.Command {
	c := &ffcli.Command{
		Name:       "completion",
		ShortUsage: "logstreamer completion bash|zsh|fish",
		ShortHelp:  "print the completion of the shell: source <(logstreamer completion bash)",
		FlagSet:    newFlagSet("completion", p),
		UsageFunc:  func(c *ffcli.Command) string { return usage(c, nil) },
	}
	c.Exec = func(ctx context.Context, args []string) error {
		if len(args) > 0 && args[0] == "words" {
			words := args[1:]
			if len(words) > 0 && words[0] == "--" {
				words = words[1:]
			}
			for _, candidate := range complete(ctx, p, words) {
				if _, err := fmt.Fprintln(p.stdout, candidate); err != nil {
					return err
				}
			}
			return nil
		}
		if len(args) == 1 {
			if script, ok := completionScripts[args[0]]; ok {
				_, err := fmt.Fprint(p.stdout, script)
				return err
			}
		}
		return usageError{fmt.Errorf("completion needs one of bash, zsh, fish")}
	}
	return c
}

// shellCharacters are those of which a candidate has none, as shells would interpret them.
const shellCharacters = " '\"\\$`*?[]{}()<>|&;!#~"

// complete returns what the last word may be, given those before.
func complete(ctx context.Context, p process, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	root := commands(p)
	command, path, args := descend(root, before)
	var candidates []string
	switch {
	case strings.HasPrefix(last, "-"):
		command.FlagSet.VisitAll(func(f *flag.Flag) { candidates = append(candidates, "-"+f.Name) })
	case len(command.Subcommands) > 0 && len(args) > 0: // no such subcommand
	case len(command.Subcommands) > 0:
		candidates = namesOf(command.Subcommands)[1:]
	case len(path) > 0 && path[0] == "ctl":
		candidates = completeArgument(ctx, p, path[1:], before, args)
	}
	return slices.DeleteFunc(candidates, func(candidate string) bool {
		return !strings.HasPrefix(candidate, last) || printable.String(candidate) != candidate || strings.ContainsAny(candidate, shellCharacters)
	})
}

// descend returns the command that words name, its path and its arguments without flags.
func descend(command *ffcli.Command, words []string) (found *ffcli.Command, path, args []string) {
	for i := 0; i < len(words); i++ {
		if name, isFlag := strings.CutPrefix(words[i], "-"); isFlag {
			if takesValue(command.FlagSet, strings.TrimPrefix(name, "-")) {
				i++
			}
			continue
		}
		sub := slices.IndexFunc(command.Subcommands, func(c *ffcli.Command) bool { return c.Name == words[i] })
		if sub < 0 {
			args = append(args, words[i])
			continue
		}
		command, path = command.Subcommands[sub], append(path, words[i])
	}
	return command, path, args
}

// takesValue reports whether the value of a flag is the next word.
func takesValue(set *flag.FlagSet, name string) bool {
	if strings.Contains(name, "=") {
		return false
	}
	f := set.Lookup(name)
	if f == nil {
		return false
	}
	boolean, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !boolean.IsBoolFlag()
}

// completeArgument queries the server that the words before name.
func completeArgument(ctx context.Context, p process, path, before, args []string) []string {
	loader := newAdminLoader(p)
	set := newFlagSet("ctl", p)
	loader.AddFlags(set)
	for i := range before {
		_ = set.Parse(before[i:]) // up to the first word that is no flag of the client
	}
	commands := ctlCommands(p, loader)
	var found ctl.Command
	for _, name := range path {
		i := slices.IndexFunc(commands, func(c ctl.Command) bool { return c.Name == name })
		found, commands = commands[i], commands[i].Subcommands
	}
	if found.Complete == nil {
		return nil
	}
	return found.Complete(ctx, args)
}
