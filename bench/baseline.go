//go:build linux

package main

import "os/exec"

// baselineName is another build of the distributor, such as that of the
// previous commit.
const baselineName = "before"

// againstBaseline returns a case that compares the distributor with another
// build of it at path.
func againstBaseline(c benchCase, path string) benchCase {
	c.base, c.checks = "", nil
	experiments := c.experiments
	c.experiments = nil
	for _, e := range experiments {
		var subjects []subject
		for _, s := range e.subjects {
			if !s.ours {
				continue
			}
			subjects = append(subjects, s, baseline(s, path))
			c.base = baseline(s, path).Name
		}
		if len(subjects) > 0 {
			e.subjects = subjects
			c.experiments = append(c.experiments, e)
		}
	}
	return c
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
