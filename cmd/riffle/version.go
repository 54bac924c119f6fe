package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
)

// The modules whose versions matter for what is on disk.
const (
	libraryModule = "github.com/riffle-go/riffle"
	pebbleModule  = "github.com/cockroachdb/pebble/v2"
)

func newVersion() *cobra.Command {
	c := &cobra.Command{
		Use:               "version",
		Short:             "Print the versions of this program",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	format := formatFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		v := versions()
		if *format == display.JSON {
			return display.WriteJSON(c.OutOrStdout(), v)
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "riffle %s\nlibrary %s\npebble %s\n%s\n", v.Command, v.Library, v.Pebble, v.Go)
		return err
	}
	return c
}

// versionReport names what this program was built from.
type versionReport struct {
	Command  string `json:"command"`
	Library  string `json:"library"`
	Pebble   string `json:"pebble"`
	Go       string `json:"go"`
	Revision string `json:"revision,omitempty"` // of the source, when it was built from a checkout
}

// versions reads what the linker recorded; "(devel)" is a build from a checkout.
func versions() versionReport {
	v := versionReport{Command: "(devel)", Library: "(devel)", Pebble: "(unknown)", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Command = info.Main.Version
	}
	for _, m := range info.Deps {
		switch {
		case m.Path == pebbleModule:
			v.Pebble = m.Version
		case m.Path == libraryModule && m.Replace == nil:
			v.Library = m.Version
		}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Revision = s.Value
		}
	}
	return v
}
