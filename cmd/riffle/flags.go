package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// defaultLimit keeps a list on a few screens.
const defaultLimit = 100

// formatFlag adds -o to a command.
func formatFlag(c *cobra.Command) *display.Format {
	f := display.Table
	c.Flags().VarP(&f, "output", "o", "how to write the result")
	if err := c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was not defined
	}
	return &f
}

// limitFlag adds --limit to a command.
func limitFlag(c *cobra.Command, of string) *int {
	return c.Flags().IntP("limit", "n", defaultLimit, "at most so many "+of+"; 0 is all")
}

// checkLimit refuses what --limit cannot mean.
func checkLimit(n int) error {
	if n < 0 {
		return fmt.Errorf("--limit %d is negative; 0 is all", n)
	}
	return nil
}

// parsePoint reads a position or a time.
func parsePoint(flag, s string) (store.Point, error) {
	if s == "" {
		return store.Point{}, nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		if n == 0 {
			return store.Point{}, fmt.Errorf("--%s 0: positions begin at 1", flag)
		}
		return store.AtPosition(event.Position(n)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return store.Point{}, fmt.Errorf("--%s %q is neither a position, such as 1200, nor a time, such as 2026-01-31T08:00:00Z", flag, s)
	}
	return store.AtTime(t), nil
}

// parseText reads a flag that holds stored text, which may be quoted.
func parseText(flag, s string) (string, error) {
	u, err := display.Unquote(s)
	if err != nil {
		return "", fmt.Errorf("--%s %w", flag, err)
	}
	return u, nil
}

// shellQuote quotes an argument for a shell when it needs it.
func shellQuote(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@+,") == "" && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
