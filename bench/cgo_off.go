//go:build !cgo

package main

// cgo says whether Pebble allocates outside the Go heap.
const cgo = false
