// Package escape writes strings into keys so that plain byte order of the keys is
// the order of the strings, component by component, and no string can imitate the
// end of a component.
//
// A zero byte becomes 0x00 0xFF and a component ends with 0x00 0x01; all other
// bytes stay as they are. The end marker sorts below everything that can follow a
// shared beginning, so a string sorts before every longer string that starts with
// it, whatever component comes next. All strings with a common prefix, and all keys
// with common first components, therefore lie in one contiguous range.
package escape
