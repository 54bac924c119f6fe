package online

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/riffle-go/riffle/cmd/riffle/internal/api"
	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/event"
)

// Actions are the commands that change something about a subscription.
func (e *Env) Actions() []*cobra.Command {
	return []*cobra.Command{e.pause(), e.resume(), e.retry(), e.skip(), e.rewind(), e.rebuild(), e.release()}
}

// action makes a command around a verb. prepare fills in what the verb needs; tell says what
// was done.
func (e *Env) action(c *cobra.Command, verb string, prepare func(a *api.Action) error, tell func(name string) string) *cobra.Command {
	c.Args = oneName
	c.ValidArgsFunction = e.completeNames
	e.remote.Flags(c)
	format := formatFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var a api.Action
		if prepare != nil {
			if err := prepare(&a); err != nil {
				return err
			}
		}
		return e.with(c, func(l *Local) error {
			if err := confirm(c, verb, args[0], &a); err != nil {
				return err
			}
			done, err := l.Client.Act(c.Context(), args[0], verb, a)
			if err != nil {
				return err
			}
			return result(c, l, done, *format, tell(display.Quote(args[0])))
		})
	}
	return c
}

// result says what was done.
func result(c *cobra.Command, l *Local, done api.Done, format display.Format, text string) error {
	if format == display.JSON {
		return display.WriteJSON(c.OutOrStdout(), done)
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), text)
	if l.Opened {
		remark(c, "it is stored; the service obeys when it runs")
	}
	return err
}

// confirmFlag adds --confirm to a command that destroys work.
func confirmFlag(c *cobra.Command) {
	c.Flags().String("confirm", "", "the `name` of the subscription again, instead of typing it when asked")
	complete(c, "confirm", cobra.NoFileCompletions)
}

// confirm makes sure that somebody means it: by --confirm, or on a terminal by asking.
func confirm(c *cobra.Command, verb, name string, a *api.Action) error {
	flag := c.Flags().Lookup("confirm")
	if flag == nil {
		return nil
	}
	a.Confirm = flag.Value.String()
	if !flag.Changed {
		in, ok := c.InOrStdin().(*os.File)
		if !ok || !term.IsTerminal(int(in.Fd())) {
			return fmt.Errorf("to %s %s, say it twice: --confirm %s", verb, display.Quote(name), display.Quote(name))
		}
		_, _ = fmt.Fprintf(c.ErrOrStderr(), "This cannot be undone. To %s it, type the name of the subscription (%s): ", verb, display.Quote(name))
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil {
			return errors.New("not confirmed, nothing was done")
		}
		a.Confirm = strings.TrimRight(line, "\r\n")
	}
	if a.Confirm != name {
		return fmt.Errorf("%s is not %s, nothing was done", display.Quote(a.Confirm), display.Quote(name))
	}
	return nil
}

func (e *Env) pause() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "pause NAME",
		Short: "Stop a subscription until it is resumed",
		Long: `Stop a subscription: its worker finishes the event in hand, commits, and releases its lease.
The pause holds for all engines of the store, and survives restarts.`,
		Example: `  riffle pause mailer --reason "mail server moves" --url http://localhost:8080/admin`,
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for whoever finds it paused (needed)")
	complete(c, "reason", cobra.NoFileCompletions)
	return e.action(c, "pause", func(a *api.Action) error {
		if a.Reason = reason; reason == "" {
			return errors.New("say why by --reason, for whoever finds it paused")
		}
		return nil
	}, func(name string) string { return name + " is paused: " + display.Line(reason) })
}

func (e *Env) resume() *cobra.Command {
	return e.action(&cobra.Command{
		Use:   "resume NAME",
		Short: "Let a subscription go on that was paused or has halted",
	}, "resume", nil, func(name string) string { return name + " goes on" })
}

func (e *Env) retry() *cobra.Command {
	var key string
	c := &cobra.Command{
		Use:   "retry NAME [--key KEY]",
		Short: "Try the events again that were set aside",
		Long: `Make the events of a key that were set aside due now; without --key those of all keys. They
are tried in their order, by the worker that holds the lease.`,
	}
	keyFlag(c, &key, "only those of this key, as riffle parked shows it")
	return e.action(c, "retry", func(a *api.Action) (err error) {
		a.Key, err = parseText("key", key)
		return err
	}, func(name string) string {
		return name + " tries again " + cmp.Or(key, "all keys")
	})
}

func keyFlag(c *cobra.Command, key *string, usage string) {
	c.Flags().StringVar(key, "key", "", usage)
	complete(c, "key", cobra.NoFileCompletions)
}

// parseText reads a flag that holds stored text, which may be quoted.
func parseText(flag, s string) (string, error) {
	u, err := display.Unquote(s)
	if err != nil {
		return "", fmt.Errorf("--%s %w", flag, err)
	}
	return u, nil
}

func (e *Env) skip() *cobra.Command {
	var key, position string
	c := &cobra.Command{
		Use:   "skip NAME --key KEY --position POSITION",
		Short: "Never handle an event",
		Long: `Decide that an event is never handled for a key, also not in a later rebuild. The events of
the key that wait behind it go on. riffle parked shows keys and positions.`,
		Example: `  riffle skip mailer --key ann --position 4711 --confirm mailer --url http://localhost:8080/admin`,
	}
	keyFlag(c, &key, "the key of the event (needed)")
	c.Flags().StringVar(&position, "position", "", "the position of the event (needed)")
	complete(c, "position", cobra.NoFileCompletions)
	confirmFlag(c)
	return e.action(c, "skip", func(a *api.Action) (err error) {
		if key == "" || position == "" {
			return errors.New("say which event by --key and --position; riffle parked shows both")
		}
		if a.Key, err = parseText("key", key); err != nil {
			return err
		}
		var p event.Position
		if p.UnmarshalText([]byte(position)) != nil || p == 0 {
			return fmt.Errorf("--position %q is no position; positions are numbers from 1", position)
		}
		a.Position = p
		return nil
	}, func(name string) string { return name + " leaves out position " + position + " for " + key })
}

func (e *Env) rewind() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "rewind NAME --to POINT",
		Short: "Make an effect or a sink handle events again",
		Long: `Make a subscription go back, and handle again what follows: from a position or a time on,
inclusive, or from the head. An effect repeats what it did, and must allow it
(projection.Options.Repeat); a sink needs a target that can be reset. Models are rebuilt.`,
	}
	c.Flags().StringVar(&to, "to", "", "a position, a time (RFC 3339), or head (needed)")
	complete(c, "to", cobra.FixedCompletions([]string{"head", "1"}, cobra.ShellCompDirectiveNoFileComp))
	confirmFlag(c)
	return e.action(c, "rewind", func(a *api.Action) error {
		if a.To = to; to == "" {
			return errors.New("say where to by --to: a position, a time such as 2026-01-31T08:00:00Z, or head")
		}
		return nil
	}, func(name string) string { return name + " goes back to " + to })
}

func (e *Env) release() *cobra.Command {
	c := &cobra.Command{
		Use:   "release NAME",
		Short: "End the lease of a subscription, whoever holds it",
		Long: `End the lease of a subscription. The next worker gets in at once, and the former one can commit
nothing more; what it does in the world until it notices may coincide with the next one's.
For a worker that has frozen. One that works asks for the lease again.`,
	}
	confirmFlag(c)
	return e.action(c, "release", nil, func(name string) string { return "the lease of " + name + " has ended" })
}
