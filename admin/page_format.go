package admin

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The page writes numbers as assets/js/format.js does, so that a value does not change its
// looks when the first sample comes in.

// formatCount writes an integer with groups: 1,234,567. Positions come as text.
func formatCount(v any) string {
	digits := fmt.Sprint(v)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// formatRate writes a number per second, with one decimal while it is small.
func formatRate(perSecond float64) string {
	switch {
	case !(perSecond > 0): // also NaN
		return "0"
	case perSecond < 0.1:
		return "< 0.1"
	case perSecond < 9.95:
		return oneDecimal(perSecond)
	default:
		return formatCount(int64(math.Round(perSecond)))
	}
}

// oneDecimal rounds halves up, as toFixed of script does. Only quarters are such halves
// exactly.
func oneDecimal(v float64) string {
	if quarters := v * 4; quarters == math.Trunc(quarters) {
		v = math.Nextafter(v, math.Inf(1))
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// formatBytes writes a size with a binary unit: 12.4 MiB.
func formatBytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v, unit := float64(n), 0
	for v >= 1024 && unit < len(units)-1 {
		v /= 1024
		unit++
	}
	if unit == 0 || v >= 100 {
		return formatCount(int64(math.Round(v))) + " " + units[unit]
	}
	return oneDecimal(v) + " " + units[unit]
}

// formatSeconds writes a duration in the two largest units that matter: 4 min 10 s.
func formatSeconds(seconds float64) string {
	switch {
	case !(seconds > 0):
		return "0 s"
	case seconds < 1:
		return fmt.Sprintf("%d ms", max(1, int(math.Round(seconds*1000))))
	case seconds < 10:
		return oneDecimal(seconds) + " s"
	}
	whole := int64(math.Round(seconds))
	pair := func(big int64, bigUnit string, small int64, smallUnit string) string {
		if small == 0 {
			return fmt.Sprintf("%d %s", big, bigUnit)
		}
		return fmt.Sprintf("%d %s %d %s", big, bigUnit, small, smallUnit)
	}
	switch {
	case whole < 60:
		return fmt.Sprintf("%d s", whole)
	case whole < 3600:
		return pair(whole/60, "min", whole%60, "s")
	case whole < 86400:
		return pair(whole/3600, "h", whole%3600/60, "min")
	default:
		return pair(whole/86400, "d", whole%86400/3600, "h")
	}
}

func formatDuration(d time.Duration) string { return formatSeconds(d.Seconds()) }

// formatAgo says how long ago a moment was, or how far ahead it is.
func formatAgo(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "never"
	case d <= -time.Second:
		return "in " + formatWhole(-d)
	case d < time.Second:
		return "just now"
	default:
		return formatWhole(d) + " ago"
	}
}

func formatWhole(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%d s", int(d.Seconds()))
	}
	return formatDuration(d.Truncate(time.Second))
}

// formatTime writes a moment to the millisecond, in UTC.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}

// formatDay and formatClock are its parts.
func formatDay(t time.Time) string   { return t.UTC().Format("2006-01-02") }
func formatClock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// formatKey shows a key, which may hold any text: NUL and other controls as symbols.
func formatKey(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < 0x20:
			return 0x2400 + r
		case r == 0x7f:
			return 0x2421
		case 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069: // would turn the text around
			return 0xfffd
		}
		return r
	}, key)
}
