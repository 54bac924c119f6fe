package store

import (
	"errors"
	"fmt"
)

// limitsOf returns the limits of a driver.
func limitsOf(d Driver) Limits {
	if l, ok := d.(Limiter); ok {
		return l.Limits()
	}
	return PortableLimits()
}

// lowered returns the limits of a driver, lowered by what the options say.
func (limits Limits) lowered(lower Limits) (Limits, error) {
	var faults []error
	for _, f := range []struct {
		name   string
		have   *int
		wanted int
	}{
		{"EventBytes", &limits.EventBytes, lower.EventBytes},
		{"AppendEvents", &limits.AppendEvents, lower.AppendEvents},
		{"AppendBytes", &limits.AppendBytes, lower.AppendBytes},
		{"StateBytes", &limits.StateBytes, lower.StateBytes},
		{"CommitItems", &limits.CommitItems, lower.CommitItems},
		{"CommitBytes", &limits.CommitBytes, lower.CommitBytes},
		{"KeyBytes", &limits.KeyBytes, lower.KeyBytes},
		{"Examine", &limits.Examine, lower.Examine},
	} {
		switch {
		case f.wanted < 0:
			faults = append(faults, &InvalidError{Field: "Options.Limits." + f.name, Reason: "is negative; 0 keeps the driver's limit"})
		case f.wanted > *f.have:
			faults = append(faults, &InvalidError{
				Field:  "Options.Limits." + f.name,
				Reason: fmt.Sprintf("is %d, more than the driver's %d; options can only lower a limit", f.wanted, *f.have),
			})
		case f.wanted > 0:
			*f.have = f.wanted
		}
	}
	return limits, errors.Join(faults...)
}

// checkLimit refuses a value above a limit.
func checkLimit(field string, value, limit int, unit, name string) error {
	if value <= limit {
		return nil
	}
	return &InvalidError{Field: field, Reason: fmt.Sprintf("has %d %s, the limit %s is %d", value, unit, name, limit)}
}

// checkKey refuses a record key that the driver cannot store.
func (c *core) checkKey(field, key string) error {
	return checkLimit(field, len(key), c.limits.KeyBytes, "bytes as a stored key", "KeyBytes")
}
