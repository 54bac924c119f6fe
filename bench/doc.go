// Command bench measures Riffle against yardsticks: the same work done in the plainest
// way on the same machine, in the same process, in the same run.
//
//	go run ./bench -run store
//
// A figure is a ratio. Riffle's side and the yardstick take turns, one pair after the
// other, and the ratio is the median over the pairs. A ratio travels between machines much
// better than a rate does, and what disturbs the machine for a while disturbs both sides.
//
// Each figure has a bound that it must keep and a better value to hope for. It misses only
// when the whole interval around the median misses, so that one noisy run does not.
//
// With a failing disk, a full one, or any error of either side, the command says so on
// standard error and exits with status 1; a figure that was not measured is never printed.
package main
