//go:build !linux

package upgrade

import (
	"errors"
	"syscall"
)

const supported = false

func replace(string, []string, []string, []string, []syscall.Conn) error {
	return errors.ErrUnsupported
}
