package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/tool"
	"github.com/spf13/cobra"
)

// writingTools are Pebble's commands that would change a store behind Riffle's back, or
// make a copy that does not know it is one.
var writingTools = []string{"set", "excise", "upgrade", "checkpoint", "io-bench"}

func newLSM() *cobra.Command {
	c := &cobra.Command{
		Use:   "lsm",
		Short: "Look below the store: Pebble's own tools",
		Long: `Pebble's own tools, for looking at tables, manifests and write-ahead logs of a store.
docs/format.md says what the keys and values are: the first byte of a key is its key space.

Pebble's commands that write are left out; to copy a store, use riffle backup.`,
		Example: `  riffle lsm db lsm bank.db
  riffle lsm db scan bank.db --start m --end n
  riffle lsm db properties bank.db`,
	}
	c.AddCommand(pebbleTools(c)...)
	refuseUnknown(c)
	return c
}

// pebbleTools are the commands of Pebble that only read. They print their errors instead
// of returning them, some to standard output: what can be checked is checked before, and
// anything on standard error is an error.
func pebbleTools(parent *cobra.Command) []*cobra.Command {
	var failed bool
	parent.PersistentPreRunE = func(c *cobra.Command, args []string) error {
		c.SetErr(noticing{c.Root().ErrOrStderr(), &failed})
		if len(args) == 0 || !c.HasParent() {
			return nil
		}
		if c.Parent().Name() == "db" {
			return checkDir(args[0])
		}
		_, err := os.Stat(args[0])
		return err
	}
	parent.PersistentPostRunE = func(*cobra.Command, []string) error {
		if failed {
			return errReported
		}
		return nil
	}
	var dir string
	commands := tool.New(
		tool.OpenErrEnhancer(func(err error) error { return explain(dir, err) }),
		tool.OpenOptions(withoutLog{}),
	).Commands
	for _, c := range commands {
		refuseUnknown(c)
		if c.Name() != "db" {
			continue
		}
		for _, sub := range slices.Clone(c.Commands()) {
			if slices.Contains(writingTools, sub.Name()) {
				c.RemoveCommand(sub)
				continue
			}
			sub.ValidArgsFunction = completeDirs
			sub.PreRun = func(_ *cobra.Command, args []string) {
				if len(args) > 0 {
					dir = args[0]
				}
			}
		}
	}
	return commands
}

// refuseUnknown makes an unknown command of a group an error; cobra prints the help and
// calls it success.
func refuseUnknown(c *cobra.Command) {
	if c.Runnable() {
		return
	}
	c.Args = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return nil
		case slices.Contains(writingTools, args[0]):
			return fmt.Errorf("%s %s is left out: it would change the store, or copy it, behind Riffle's back; see riffle backup", c.CommandPath(), args[0])
		}
		return fmt.Errorf("there is no %s %s; see %s --help", c.CommandPath(), args[0], c.CommandPath())
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// withoutLog keeps Pebble from logging how it opens.
type withoutLog struct{}

// Apply implements tool.OpenOption.
func (withoutLog) Apply(_ string, o *pebble.Options) { o.Logger = silent{} }

// noticing remembers that something was written.
type noticing struct {
	io.Writer
	noticed *bool
}

func (n noticing) Write(p []byte) (int, error) {
	*n.noticed = true
	return n.Writer.Write(p)
}
