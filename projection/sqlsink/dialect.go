package sqlsink

import "strings"

// Dialect is the language of a database.
type Dialect string

// The dialects.
const (
	SQLite     Dialect = "sqlite"     // 3.35 or later
	PostgreSQL Dialect = "postgresql" // 9.6 or later
)

// Schema returns the statements that make the tables of all sinks of a database, to be run
// by somebody who may create tables when the service may not. It is safe to run them again.
// An unknown dialect has none: "".
func Schema(d Dialect) string {
	var b strings.Builder
	for _, s := range languages[d].schema {
		b.WriteString(s)
		b.WriteString(";\n")
	}
	return b.String()
}

// language is what differs between dialects. Nobody modifies one.
type language struct {
	schema []string
	// exists tells whether the tables are there; asking needs no right to create them.
	exists string
	// enter is the first statement of a page: it finds the row of a term, and tells its
	// position and how many events beyond that are in already.
	enter string
	// settled reads the row when no transaction is under way that changes it.
	settled string
	// numbered parameters are written $1, or else ?1.
	dollar bool
}

// text returns a statement, which is written with $1, in the dialect.
func (l language) text(statement string) string {
	if l.dollar {
		return statement
	}
	return strings.ReplaceAll(statement, "$", "?")
}

const (
	whose = ` WHERE history = $1 AND projection = $2`

	lateBeyond = `(SELECT count(*) FROM riffle_sink_late l WHERE l.history = $1 AND l.projection = $2 AND l.position > riffle_sinks.position)`

	// claim raises the term. It is idempotent.
	claim = `UPDATE riffle_sinks SET term = $3` + whose + ` AND term <= $3 RETURNING position`
	// rows are all rows of a projection.
	rows = `SELECT history, term, position FROM riffle_sinks WHERE projection = $1 ORDER BY position DESC`
	// create makes the row, if nobody else has.
	create = `INSERT INTO riffle_sinks (history, projection, term, position) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
	// move is the last statement of a page: the fence.
	move = `UPDATE riffle_sinks SET position = $5` + whose + ` AND term = $3 AND position = $4`

	lateBetween = `SELECT position FROM riffle_sink_late` + whose + ` AND position BETWEEN $3 AND $4`
	addLate     = `INSERT INTO riffle_sink_late (history, projection, position) VALUES ($1, $2, $3)`
	dropLate    = `DELETE FROM riffle_sink_late` + whose + ` AND position > $3`
)

var languages = map[Dialect]language{
	SQLite: {
		schema: []string{
			`CREATE TABLE IF NOT EXISTS riffle_sinks (
	history    TEXT NOT NULL,
	projection TEXT NOT NULL,
	term       INTEGER NOT NULL,
	position   INTEGER NOT NULL,
	PRIMARY KEY (history, projection)
) WITHOUT ROWID`,
			`CREATE TABLE IF NOT EXISTS riffle_sink_late (
	history    TEXT NOT NULL,
	projection TEXT NOT NULL,
	position   INTEGER NOT NULL,
	PRIMARY KEY (history, projection, position)
) WITHOUT ROWID`,
		},
		exists: `SELECT count(*) = 2 FROM sqlite_master WHERE type = 'table' AND name IN ('riffle_sinks', 'riffle_sink_late')`,
		// It writes, although it changes nothing: a transaction that begins by reading is refused
		// in its middle when somebody else has written meanwhile.
		enter:   `UPDATE riffle_sinks SET position = position` + whose + ` AND term = $3 RETURNING position, ` + lateBeyond,
		settled: `SELECT term, position FROM riffle_sinks` + whose,
	},
	PostgreSQL: {
		schema: []string{
			`CREATE TABLE IF NOT EXISTS riffle_sinks (
	history    text NOT NULL,
	projection text NOT NULL,
	term       bigint NOT NULL,
	position   bigint NOT NULL,
	PRIMARY KEY (history, projection)
)`,
			`CREATE TABLE IF NOT EXISTS riffle_sink_late (
	history    text NOT NULL,
	projection text NOT NULL,
	position   bigint NOT NULL,
	PRIMARY KEY (history, projection, position)
)`,
		},
		exists: `SELECT to_regclass('riffle_sinks') IS NOT NULL AND to_regclass('riffle_sink_late') IS NOT NULL`,
		// It locks nothing: a worker that hangs must not keep its successor out.
		enter: `SELECT position, ` + lateBeyond + ` FROM riffle_sinks` + whose + ` AND term = $3`,
		// A COMMIT whose answer was lost may still be under way; the lock waits for its end.
		settled: `SELECT term, position FROM riffle_sinks` + whose + ` FOR UPDATE`,
		dollar:  true,
	},
}
