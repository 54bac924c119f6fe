// Command quickstart is the store of Riffle in one sitting: it appends to streams, with
// and without expectations, reads a stream, filters, pages by cursors, waits for what is
// to come, and meets a conflict.
//
//	go run ./examples/quickstart
//
// It uses a directory of its own and removes it; with -dir it keeps the store, and a
// second run goes on where the first one ended.
package main
