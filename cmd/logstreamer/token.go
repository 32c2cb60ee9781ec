package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/peterbourgon/ff/v3/ffcli"

	"github.com/logstreamer/logstreamer/internal/config"
	"github.com/logstreamer/logstreamer/internal/credential"
)

// tokenConfig is whose token is made; the tags are those of package config.
type tokenConfig struct {
	Name string `flag:"name" help:"name of the emitters or the person that get the token (default: emitter-1, with -role the role and -1)"`
	Role string `flag:"role" enum:"read,operate,register" help:"role in the admin API: read, operate or register (of analyzers) (default: the token is for emitters)"`
}

// tokenCommand makes a token. It is shown once: files have its hash.
func tokenCommand(p process) *ffcli.Command {
	return newCommand(p, ffcli.Command{
		Name:       "token",
		ShortUsage: "logstreamer token [-name NAME] [-role read|operate|register]",
		ShortHelp:  "make a token for emitters or the admin API, and its line for the tokens file",
	}, newLoader(p, tokenConfig{}), func(_ context.Context, loaded *config.Loaded[tokenConfig]) error {
		token, word := credential.Generate()
		name := cmp.Or(loaded.Config.Name, cmp.Or(loaded.Config.Role, "emitter")+"-1")
		line, err := credential.Line(name, credential.Role(loaded.Config.Role), word)
		if err != nil {
			return usageError{fmt.Errorf("-name is %q: %w", name, err)}
		}
		file := "INGEST_TOKENS_FILE"
		if loaded.Config.Role != "" {
			file = "ADMIN_TOKENS_FILE"
		}
		_, err = fmt.Fprintf(p.stdout, "The token, which is shown only here:\n%s\n\nIts line for %s:\n%s\n", token, file, line)
		return err
	})
}
