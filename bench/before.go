//go:build linux

package main

import "os/exec"

// beforeName is another build of the distributor, such as that of the commit before.
const beforeName = "before"

// againstBefore returns a case in which only the distributor is measured, against
// another build of it, a program at a path.
func againstBefore(c benchCase, path string) benchCase {
	c.base, c.judges = "", nil
	experiments := c.experiments
	c.experiments = nil
	for _, e := range experiments {
		var subjects []subject
		for _, s := range e.subjects {
			if !s.ours {
				continue
			}
			subjects = append(subjects, s, before(s, path))
			c.base = before(s, path).Name
		}
		if len(subjects) > 0 {
			e.subjects = subjects
			c.experiments = append(c.experiments, e)
		}
	}
	return c
}

func before(s subject, path string) subject {
	command := s.command
	s.Name += ", " + beforeName
	s.command = func(p place) (*exec.Cmd, error) {
		p.distributor = path
		return command(p)
	}
	return s
}
