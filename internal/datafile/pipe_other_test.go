//go:build !unix

package datafile

import "errors"

func makePipe(string) error { return errors.ErrUnsupported }
