package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/admin"
	"github.com/riffle-go/riffle/cmd/riffle/internal/api"
	"github.com/riffle-go/riffle/cmd/riffle/internal/online"
	"github.com/riffle-go/riffle/engine"
	"github.com/riffle-go/riffle/store"
)

// Options are the optional settings of a command line.
type Options struct {
	// Name is what stands before the commands in texts, of one or more words, such as
	// "myservice riffle". Default "riffle".
	Name string
	// Payloads says what is shown of payloads. Default admin.Masked. It does not matter with
	// --url: there the service decides.
	Payloads admin.Payloads
	_        struct{}
}

// New returns the command line over an engine, which may run or not. The engine stays the
// caller's. A rebuild runs it when it does not run yet; after that it has run, and cannot
// run again.
//
// Set the arguments by SetArgs and run the command by ExecuteContext: the end of the
// context ends what takes long.
func New(eng *engine.Engine, o *Options) *cobra.Command {
	return tree(o, func(_ context.Context, o Options) (*online.Local, error) { return local(eng, o) })
}

// Open returns the command line over an engine that is opened when a command needs it: not
// for help, completion, and --url. open returns the engine and how to close it; the command
// closes it at its end, also after an error.
func Open(open func(ctx context.Context) (*engine.Engine, func() error, error), o *Options) *cobra.Command {
	return tree(o, func(ctx context.Context, o Options) (*online.Local, error) {
		eng, closing, err := open(ctx)
		if errors.Is(err, store.ErrLocked) {
			err = fmt.Errorf("%w\nThe service runs, it seems: ask it by --url, with the address of its admin page", err)
		}
		if err != nil {
			return nil, err
		}
		l, err := local(eng, o)
		if err != nil {
			return nil, errors.Join(err, closing())
		}
		page := l.Close
		l.Opened, l.Close = true, func() error { return errors.Join(page(), closing()) }
		return l, nil
	})
}

func tree(o *Options, open func(context.Context, Options) (*online.Local, error)) *cobra.Command {
	var c Options
	if o != nil {
		c = *o
	}
	words := strings.Fields(c.Name)
	if len(words) == 0 {
		words = []string{"riffle"}
	}
	root := &cobra.Command{
		Use:           words[len(words)-1], // one word; the others are the program's
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: strings.Join(words, " ")},
		Short:         "Look after the projections of this service",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, c.CommandPath())
	})
	env := &online.Env{Open: func(ctx context.Context) (*online.Local, error) { return open(ctx, c) }}
	root.AddCommand(env.Lists()...)
	root.AddCommand(env.Top())
	root.AddCommand(env.Actions()...)
	return root
}

// local asks an engine of this process, through the same API as a service is asked: what
// is allowed, checked and logged is one and the same.
func local(eng *engine.Engine, o Options) (*online.Local, error) {
	if eng == nil {
		return nil, errors.New("cli: there is no engine")
	}
	h, err := admin.New(eng, &admin.Options{
		Authorize: func(*http.Request, admin.Action) error { return nil }, // whoever runs the program may
		Payloads:  o.Payloads,
	})
	if err != nil {
		return nil, err
	}
	return &online.Local{
		Client: api.Within(h), Run: eng.Run,
		Close: func() error { h.Close(); return nil },
	}, nil
}
