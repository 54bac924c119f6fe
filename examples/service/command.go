package main

import (
	"context"
	"errors"
	"flag"
	"io"

	"github.com/riffle-go/riffle/cmd/riffle/cli"
	"github.com/riffle-go/riffle/engine"
)

// command is the riffle command line with this program's own projections: what rebuilds a
// model has to have its code. -dir stands before its arguments, as in
// "service riffle -dir bank.db rebuild accounts".
func command(ctx context.Context, out, errs io.Writer, args []string) error {
	flags := flag.NewFlagSet("service riffle", flag.ContinueOnError)
	flags.SetOutput(errs)
	dir := flags.String("dir", "bank.db", "`directory` of the store")
	if err := flags.Parse(args); err != nil {
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
	cmd.SetOut(out)
	cmd.SetErr(errs)
	return cmd.ExecuteContext(ctx)
}
