// Command gitlog turns the history of a git repository into events, and shows what models
// make of it: commits and churn per author, per file and per weekday, and a chart.
//
//	go run ./examples/gitlog DIR
//
// A second run takes only the commits that are new. With a higher -revision the models are
// built anew beside the old ones, which are read meanwhile. See README.md.
package main
