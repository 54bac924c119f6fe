package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"text/tabwriter"
)

// customer is a line of the report.
type customer struct {
	name                  string
	open, paid, cancelled int
	cents                 int64 // of paid orders
}

// revenue asks the table, as any other program that knows SQL could.
func revenue(ctx context.Context, db *sql.DB) ([]customer, error) {
	rows, err := db.QueryContext(ctx, `
		SELECT customer,
			sum(CASE state WHEN 'open' THEN 1 ELSE 0 END),
			sum(CASE state WHEN 'paid' THEN 1 ELSE 0 END),
			sum(CASE state WHEN 'cancelled' THEN 1 ELSE 0 END),
			sum(CASE state WHEN 'paid' THEN cents ELSE 0 END)
		FROM orders GROUP BY customer ORDER BY customer`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []customer
	for rows.Next() {
		var c customer
		if err := rows.Scan(&c.name, &c.open, &c.paid, &c.cancelled, &c.cents); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

func printRevenue(w io.Writer, all []customer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "customer\topen\tpaid\tcancelled\trevenue\t")
	for _, c := range all {
		_, _ = fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d.%02d\t\n", c.name, c.open, c.paid, c.cancelled, c.cents/100, c.cents%100)
	}
	return t.Flush() // it keeps the first error
}
