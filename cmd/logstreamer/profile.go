//go:build profile

package main

import (
	"log"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

// init profiles the processor time until SIGTERM, into the file that PROFILE_FILE names. The
// benchmark builds the program with this tag to make default.pgo.
func init() {
	file, err := os.Create(os.Getenv("PROFILE_FILE"))
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		log.Fatalf("PROFILE_FILE: %v", err)
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		pprof.StopCPUProfile()
		if err := file.Close(); err != nil {
			log.Printf("PROFILE_FILE: %v", err)
		}
	}()
}
