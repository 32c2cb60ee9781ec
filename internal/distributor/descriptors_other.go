//go:build !unix

package distributor

// descriptorLimit returns how many files the process may open, 0 when that is not
// known.
func descriptorLimit() uint64 { return 0 }
