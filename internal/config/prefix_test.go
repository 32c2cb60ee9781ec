package config

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

// listeners has a struct of settings twice, and as part of the items of a list.
type listeners struct {
	Ingest  certificateFiles
	Admin   certificateFiles `prefix:"ADMIN_"`
	Targets targets          `env:"TARGETS"`
}

type certificateFiles struct {
	Cert string `env:"CERT"`
}

type targets []struct {
	Name  string `key:"name"`
	Files certificateFiles
}

func TestPrefix(t *testing.T) {
	environment := map[string]string{"ADMIN_CERT": "b"}
	loader := New(listeners{}, func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	loader.File = filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(loader.File, []byte("cert: a\nadmin_cert: x\ntargets: [{name: n, cert: c}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	set := flag.NewFlagSet("", flag.ContinueOnError)
	loader.AddFlags(set)
	loaded, err := loader.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := loaded.Config
	if c.Ingest.Cert != "a" || c.Admin.Cert != "b" || len(c.Targets) != 1 || c.Targets[0].Files.Cert != "c" {
		t.Errorf("%+v", c)
	}
	if err := set.Parse([]string{"-admin-cert", "f"}); err != nil {
		t.Fatal(err)
	}
	if loaded, err = loader.Load(); err != nil || loaded.Config.Admin.Cert != "f" || loaded.Config.Ingest.Cert != "a" {
		t.Errorf("%+v, %v", loaded, err)
	}
}
