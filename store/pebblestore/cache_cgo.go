//go:build cgo

package pebblestore

// cacheShare is how much of Options.CacheSize the block cache may fill, in percent. With
// cgo its blocks lie outside the Go heap and take the memory they need.
const cacheShare = 100
