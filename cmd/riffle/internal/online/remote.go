package online

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffle-go/riffle/cmd/riffle/internal/api"
	"github.com/riffle-go/riffle/cmd/riffle/internal/display"
)

// Remote says which service to ask.
type Remote struct {
	URL       string
	headers   []string
	tokenFile string
}

// Flags adds the flags of a Remote to a command.
func (r *Remote) Flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&r.URL, "url", "", "`address` under which a running service has mounted its admin page, such as http://localhost:8080/admin")
	f.StringArrayVar(&r.headers, "header", nil, `a header for each request, as in "X-Role: operator"; may be repeated`)
	f.StringVar(&r.tokenFile, "token-file", "", "send the token in this `file`, as Authorization: Bearer")
	complete(c, "url", cobra.NoFileCompletions)
	complete(c, "header", cobra.NoFileCompletions)
}

// Client returns a client of the service.
func (r *Remote) Client() (*api.Client, error) {
	return api.New(r.URL, r.headers, r.tokenFile)
}

// Given says whether a service was named. Credentials alone are a mistake.
func (r *Remote) Given() (bool, error) {
	if r.URL == "" && (len(r.headers) > 0 || r.tokenFile != "") {
		return false, errors.New("--header and --token-file are for a service; name it with --url")
	}
	return r.URL != "", nil
}

// Local is an engine of this process.
type Local struct {
	Client *api.Client
	Run    func(ctx context.Context) error // the engine, until ctx ends; nil of a service
	Opened bool                            // for this command alone, so that nobody else runs it
	Close  func() error
}

// Env is what the commands stand on.
type Env struct {
	// Open opens the engine of this process, which the commands use without --url. nil: there is
	// none.
	Open func(ctx context.Context) (*Local, error)

	remote Remote
}

// connect finds out whom to ask.
func (e *Env) connect(c *cobra.Command) (*Local, error) {
	given, err := e.remote.Given()
	switch {
	case err != nil:
		return nil, err
	case given:
		client, err := e.remote.Client()
		return &Local{Client: client, Close: func() error { return nil }}, err
	case e.Open == nil:
		return nil, fmt.Errorf("%s asks a running service: name its admin page with --url, as in --url http://localhost:8080/admin", c.CommandPath())
	}
	return e.Open(c.Context())
}

// with runs a command on whom there is to ask.
func (e *Env) with(c *cobra.Command, f func(l *Local) error) error {
	l, err := e.connect(c)
	if err != nil {
		return err
	}
	return errors.Join(f(l), l.Close())
}

// completeFor bounds a completion that asks a service.
const completeFor = 2 * time.Second

// completeNames completes the names of subscriptions, when there is a service to ask: an
// engine of this process would have to be opened.
func (e *Env) completeNames(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || e.remote.URL == "" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	client, err := e.remote.Client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeFor)
	defer cancel()
	subscriptions, err := client.Subscriptions(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, s := range subscriptions {
		names = append(names, s.Name+"\t"+s.Kind+", "+s.State)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// oneName is for commands whose only argument is the name of a subscription.
func oneName(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes one argument, the name of a subscription; it got %d; see %s --help", c.CommandPath(), len(args), c.CommandPath())
	}
	return nil
}

// formatFlag adds -o to a command.
func formatFlag(c *cobra.Command) *display.Format {
	f := display.Table
	c.Flags().VarP(&f, "output", "o", "how to write the result")
	complete(c, "output", cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return &f
}

func complete(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // the flag was not defined
	}
}

// remark says something that is no part of the result.
func remark(c *cobra.Command, format string, args ...any) {
	_, _ = fmt.Fprintf(c.ErrOrStderr(), format+"\n", args...)
}
