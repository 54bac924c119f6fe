package main

import "slices"

// The figures' yardsticks, in the words of the output.
const (
	againstRaw     = "raw Pebble: each goroutine commits its own batch of the same keys and bytes"
	againstItself  = "the same store without them"
	againstSmaller = "the same store with 1/20 of the events"
)

func storeFigures() []figure {
	return slices.Concat(appendFigures(), readFigures(), spaceFigures(), peerFigures())
}
