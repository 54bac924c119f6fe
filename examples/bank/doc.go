// Command bank runs a bank on Riffle: clients open accounts, pay in and out and transfer
// money, while an engine keeps balances, statements and notifications up to date.
//
//	go run ./examples/bank
//
// It shows a live table of the projections, or a line per second when its output is not a
// terminal. Stop it with Ctrl-C, or kill it as you like: the next start goes on where it
// was, and proves first that the books balance. See README.md.
package main
