//go:build !unix

package natstest

// Pause skips the test: the system has no signals to pause a process.
func (s *Server) Pause() { s.t.Skip("processes cannot be made to stand still here") }

// Resume ends Pause.
func (s *Server) Resume() {}
