//go:build tools

// Package tools pins the Ollama that the end-to-end tests run.
package tools

import _ "github.com/ollama/ollama"
