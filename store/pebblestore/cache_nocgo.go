//go:build !cgo

package pebblestore

// cacheShare is how much of Options.CacheSize the block cache may fill, in percent.
// Without cgo its blocks are Go slices, which the allocator rounds up by a fifth and more:
// 257 MiB of blocks took 353 MiB.
const cacheShare = 72
