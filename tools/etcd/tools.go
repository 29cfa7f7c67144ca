//go:build tools

// Package tools pins the etcd server that the embedded stack builds when no other source has it.
package tools

import _ "go.etcd.io/etcd/server/v3"
