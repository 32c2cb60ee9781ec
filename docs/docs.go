// Package docs has the documents that programs show.
package docs

import _ "embed"

// Runbook is runbook.md: what to do about each warning.
//
//go:embed runbook.md
var Runbook string
