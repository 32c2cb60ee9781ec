// Package harness runs a real distributor process with inputs and a recording analyzer, for
// tests with the real clients of other systems.
package harness
