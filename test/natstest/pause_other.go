//go:build !unix

package natstest

// Pause skips the test: there are no signals for it.
func (s *Server) Pause() { s.t.Skip("processes cannot be made to stand still here") }

// Resume ends Pause.
func (s *Server) Resume() {}
