//go:build tools

// Package tools pins the Alertmanager that the tests of alerts build when no other source has it.
package tools

import (
	_ "github.com/prometheus/alertmanager/cmd/alertmanager"
)
