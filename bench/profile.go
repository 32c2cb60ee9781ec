//go:build linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/google/pprof/profile"
)

// profileBuild are the flags of go build for a distributor that profiles itself; those of functions
// that the compiler already optimized by a profile would be of other code.
var profileBuild = []string{"-tags", "profile", "-pgo=off", "-trimpath"}

// profiled returns a distributor that writes a profile of its processor time to a directory.
func profiled(s subject, dir string) subject {
	command := s.command
	s.command = func(p subjectConfig) (*exec.Cmd, error) {
		c, err := command(p)
		if err != nil {
			return nil, err
		}
		file, err := os.CreateTemp(dir, "*.pprof")
		if err != nil {
			return nil, err
		}
		c.Env = append(c.Env, "PROFILE_FILE="+file.Name())
		return c, file.Close()
	}
	return s
}

// mergeProfiles writes one profile of all those in a directory, without what names this machine.
func mergeProfiles(dir, path string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.pprof"))
	if err != nil {
		return err
	}
	var profiles []*profile.Profile
	for _, name := range names {
		one, err := readProfile(name)
		if err != nil {
			return err
		}
		profiles = append(profiles, one)
	}
	merged, err := profile.Merge(profiles)
	if err != nil {
		return err
	}
	for _, m := range merged.Mapping {
		m.File, m.BuildID = "logstreamer", ""
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(merged.Write(file), file.Close())
}

func readProfile(path string) (*profile.Profile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it is only read
	return profile.Parse(file)
}
