package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/riffle-go/riffle/cmd/riffle/cli"
	"github.com/riffle-go/riffle/engine"
)

// command is the riffle command line with this program's own projections: what rebuilds a
// model has to have its code. -dir stands before its arguments, as in
// "service riffle -dir service.db rebuild accounts".
func command(ctx context.Context, out, errs io.Writer, args []string) error {
	flags := flag.NewFlagSet("service riffle", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main shows the error
	dir := flags.String("dir", "service.db", "`directory` of the store")
	err := flags.Parse(args)
	help := errors.Is(err, flag.ErrHelp)
	if err != nil && !help {
		return err
	}
	cmd := cli.Open(func(ctx context.Context) (*engine.Engine, func() error, error) {
		tel, err := newTelemetry(ctx)
		if err != nil {
			return nil, nil, err
		}
		st, eng, err := open(*dir, tel)
		if err != nil {
			return nil, nil, errors.Join(err, tel.shutdown(ctx))
		}
		return eng, func() error { return errors.Join(st.Close(), tel.shutdown(context.WithoutCancel(ctx))) }, nil
	}, &cli.Options{Name: "service riffle"})
	cmd.SetArgs(flags.Args())
	if help {
		_, _ = fmt.Fprint(out, "service riffle [-dir directory] command: -dir is the store, service.db unless you say otherwise\n\n")
		cmd.SetArgs([]string{"--help"})
	}
	cmd.SetOut(out)
	cmd.SetErr(errs)
	return cmd.ExecuteContext(ctx)
}
