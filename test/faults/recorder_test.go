package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/logstreamer/logstreamer/internal/analyzer/analyzertest"
)

// recordPackets runs an analyzer in this process. It logs the id of each packet
// that it takes before it responds, so that the log is complete however the
// process ends. It reads behaviours from standard input, one per line, and ends
// with it.
func recordPackets(address, logPath string) error {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	a, err := analyzertest.Start(address, analyzertest.Hooks{
		Record: func(ids []string) error {
			_, err := log.WriteString(strings.Join(ids, "\n") + "\n")
			return err
		},
		Fail: func(err error) { fmt.Fprintln(os.Stderr, err) },
	})
	if err != nil {
		return err
	}
	fmt.Println(a.Address())
	control := bufio.NewScanner(os.Stdin)
	for control.Scan() {
		var next analyzertest.Behaviour
		if err := json.Unmarshal(control.Bytes(), &next); err != nil {
			return err
		}
		a.Behave(next)
		fmt.Println("done")
	}
	a.Close()
	return errors.Join(control.Err(), log.Close())
}
