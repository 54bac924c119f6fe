//go:build !cgo || !mattn

package main

// mattnFigures are none: SQLite in C takes a C compiler and a minute to build.
func mattnFigures() []figure { return nil }
