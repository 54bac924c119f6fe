// Package browsertest holds the tests of the admin page in a real browser: every view, the
// actions end to end on an engine that works meanwhile, by keyboard alone, on a narrow
// screen, without script, in light and dark, and against attacks by what is stored.
//
// They need Chromium (Debian: apt-get install chromium) and, for the rules of
// accessibility, npm to fetch axe-core at a pinned version. Without these they are skipped,
// or fail when RIFFLE_CI is set.
//
//	go test ./internal/browsertest -screenshots DIR
//
// also writes pictures of every view, light and dark, wide and narrow.
package browsertest
