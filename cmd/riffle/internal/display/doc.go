// Package display writes what the commands have to say, for people and for programs:
// tables, JSON, progress, and text that is safe in a terminal.
//
// Stored text comes from users of the stored program: ids, routing keys, errors and
// payloads may hold control characters that would move the cursor or hide what follows.
// Quote and Line make them visible; what Quote writes, Unquote reads, so that an id can
// be copied from a table into a flag.
package display
