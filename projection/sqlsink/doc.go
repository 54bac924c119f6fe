// Package sqlsink makes projections into tables of a SQL database of your own, by
// database/sql. Each event is applied exactly once: the handlers of a page, and the position
// up to which the tables have everything, share one transaction. SQLite and PostgreSQL are
// spoken; the driver is yours.
//
//	Begin: the row's term is raised ──▶ the row's position says where to go on
//	Write: BEGIN ─ is the term mine? ─ handlers ─ position moves, if it is where I left it ─ COMMIT
//
// # Tables
//
// A sink keeps a row with its term and its position in riffle_sinks, and in
// riffle_sink_late a row for each event that was applied out of turn: one that had failed
// and was tried again when later ones were in. Both are made at the start of the first sink,
// where the connection finds tables by their bare names (in PostgreSQL by the search path).
// [Schema] returns the statements for those who may not create tables at run time. The
// names of projections are unique in a database: two stores that feed one database need two
// names.
//
// The position in the database is the true one. The checkpoint in the store is a copy of it,
// for lag and waiting. A database that was set back to a backup of its own is brought up to
// date again by itself.
//
// # Transactions
//
// A handler writes with the transaction that it gets, and leaves its end to the sink: it does
// not commit or roll back, and closes the rows that it reads before it returns. What it does
// elsewhere, also with the same *sql.DB, is not part of the page and happens again when the
// page does. Appending to the store in a handler is refused.
//
// In SQLite the first statement of a page writes, so that the transaction waits for other
// writers at its beginning and never fails in its middle because somebody else wrote. How long
// it waits is the connection's busy timeout: set it, for example to five seconds; without one
// every other writer is a failure, which the worker tries again.
//
// In PostgreSQL the row of the sink is locked by the last statement only. A worker that
// hangs in a handler does not keep its successor from taking over, but rows that it has
// written stay locked until its transaction ends: when the handler's context ends, or by the
// server's idle_in_transaction_session_timeout when its process is frozen.
//
// # Failure
//
// A handler that fails undoes its page. The error is an [*EventError] that names the event,
// so that the others can be written without it. An error of COMMIT leaves open what
// happened: the row is read back before the sink answers.
//
// A worker whose lease was lost can write nothing more, however late it wakes up: the term
// in the row is higher than its own, and it gets store.ErrLeaseLost.
//
// # Another history
//
// A store has a history, which changes when it is restored from a backup: what the tables
// have may then be unknown to the store. The sink halts with a [*HistoryError] rather than
// guess. There are two ways on, and the error has the statements for both: empty the
// tables and build them anew, or, if you know up to which position tables and store agree, say
// so in the row. Then resume the projection.
package sqlsink
