package online

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/api"
	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/event"
)

// lookEvery is how often a rebuild is looked at.
const lookEvery = 250 * time.Millisecond

func (e *Env) rebuild() *cobra.Command {
	var detach bool
	c := &cobra.Command{
		Use:   "rebuild NAME",
		Short: "Build a model anew",
		Long: `Build a model anew beside the one in use, which is read until the new one has caught up; then
they are switched in one step. A sink is set back to its start instead.

The command shows the progress until the switch. Ended before, it leaves the rebuild running,
and a restart of the service goes on with it.`,
		Args:              oneName,
		ValidArgsFunction: e.completeNames,
	}
	e.remote.Flags(c)
	confirmFlag(c)
	c.Flags().BoolVar(&detach, "detach", false, "do not wait for the switch")
	format := formatFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return e.with(c, func(l *Local) error {
			var a api.Action
			if err := confirm(c, "rebuild", args[0], &a); err != nil {
				return err
			}
			if detach {
				done, err := l.Client.Act(c.Context(), args[0], "rebuild", a)
				if err != nil {
					return err
				}
				return result(c, l, done, *format, display.Quote(args[0])+" is being rebuilt")
			}
			return rebuild(c, l, args[0], a, *format)
		})
	}
	return c
}

// rebuild asks for a rebuild and waits for its end. An engine of this process runs for as
// long as that takes.
func rebuild(c *cobra.Command, l *Local, name string, a api.Action, format display.Format) error {
	ctx := c.Context()
	before, err := l.Client.Subscription(ctx, name)
	if err != nil {
		return err
	}
	if before.Paused != "" && !before.Orphaned {
		return fmt.Errorf("%s is paused (%s), so that a rebuild would not begin; resume it first", display.Quote(name), display.Line(before.Paused))
	}
	done, err := l.Client.Act(ctx, name, "rebuild", a)
	if err != nil {
		return err
	}
	ended, stop := start(ctx, l)
	err = follow(ctx, c, l.Client, before, ended)
	if e := stop(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	after, err := l.Client.Subscription(ctx, name)
	if err != nil {
		return err
	}
	done.Subscription = &after
	if format == display.JSON {
		return display.WriteJSON(c.OutOrStdout(), done)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%s is rebuilt: generation %d at position %d\n", display.Quote(name), after.Generation, after.Position)
	return err
}

// start runs the engine of this process. The channel tells when it ended by itself.
func start(ctx context.Context, l *Local) (ended <-chan error, stop func() error) {
	if l.Run == nil {
		return nil, func() error { return nil }
	}
	running, drain := context.WithCancel(context.WithoutCancel(ctx))
	early, last := make(chan error, 1), make(chan error, 1)
	go func() {
		err := l.Run(running)
		if errors.Is(err, engine.ErrRunning) { // somebody else runs it
			err = nil
			<-running.Done()
		}
		if running.Err() == nil {
			early <- err
		}
		last <- err
	}()
	return early, func() error { drain(); return <-last }
}

// follow shows the progress until the new generation is the one in use, or, for a sink,
// until it is where it was.
func follow(ctx context.Context, c *cobra.Command, client *api.Client, before api.Subscription, ended <-chan error) error {
	progress := display.NewProgress(c.ErrOrStderr(), "rebuild", display.Count, "events")
	defer progress.Clear()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	warned := ""
	for {
		s, err := client.Subscription(ctx, before.Name)
		if err != nil {
			return err
		}
		done, at, failed := look(before, s)
		if done {
			return nil
		}
		switch {
		case s.Paused != "":
			return fmt.Errorf("%s was paused meanwhile (%s); the rebuild goes on when it is resumed", display.Quote(s.Name), display.Line(s.Paused))
		case s.Halted != "":
			return fmt.Errorf("%s has halted: %s", display.Quote(s.Name), display.Line(s.Halted))
		case s.Rebuild != nil && s.Rebuild.State == "halted":
			return fmt.Errorf("the rebuild has halted, the model in use goes on: %s", display.Line(failed))
		case failed != "" && failed != warned:
			progress.Note(display.Line(failed))
			warned = failed
		}
		progress.Update(uint64(at), uint64(s.Head))
		select {
		case <-ctx.Done():
			progress.Note("it goes on without this command")
			return ctx.Err()
		case err := <-ended:
			return cmpErr(err, errors.New("the engine ended before the rebuild did"))
		case <-tick.C:
		}
	}
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// look says how far a rebuild is.
func look(before, s api.Subscription) (done bool, at event.Position, failed string) {
	if s.Error != nil {
		failed = s.Error.Text
	}
	if s.Kind != "model" {
		return s.Backlog == 0 && s.Position >= before.Position, s.Position, failed
	}
	if s.Rebuild == nil {
		return s.Generation > before.Generation, 0, failed
	}
	if s.Rebuild.Error != nil {
		failed = s.Rebuild.Error.Text
	}
	return false, s.Rebuild.Position, failed
}
