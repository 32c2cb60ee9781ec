//go:build linux

package main

import "os/exec"

// baselineName is another build of the distributor, such as that of the
// previous commit.
const baselineName = "before"

// distributorsOnly returns a case of the distributors alone, each in variants of which the last is
// the base of ratios.
func distributorsOnly(c benchCase, variants func(subject) []subject) benchCase {
	c.base, c.checks = "", nil
	experiments := c.experiments
	c.experiments = nil
	for _, e := range experiments {
		var subjects []subject
		for _, s := range e.subjects {
			if s.ours {
				subjects = append(subjects, variants(s)...)
			}
		}
		if len(subjects) > 0 {
			c.base = subjects[len(subjects)-1].Name
			e.subjects = subjects
			c.experiments = append(c.experiments, e)
		}
	}
	return c
}

// againstBaseline returns a case that compares the distributor with another
// build of it at path.
func againstBaseline(c benchCase, path string) benchCase {
	return distributorsOnly(c, func(s subject) []subject { return []subject{s, baseline(s, path)} })
}

func baseline(s subject, path string) subject {
	command := s.command
	s.Name += ", " + baselineName
	s.command = func(p subjectConfig) (*exec.Cmd, error) {
		p.distributor = path
		return command(p)
	}
	return s
}
