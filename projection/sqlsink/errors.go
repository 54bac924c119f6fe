package sqlsink

import (
	"errors"
	"fmt"
	"strings"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/store"
)

// EventError says which event a handler could not write. The whole page was rolled back; it
// can be written without this event.
type EventError struct {
	Projection string
	Position   event.Position
	Type       event.Type
	Err        error // what the handler returned
}

func (e *EventError) Error() string {
	return fmt.Sprintf("sqlsink: %s could not write %s at position %d: %v", e.Projection, e.Type, e.Position, e.Err)
}

// EventPosition returns the position of the event that is to blame.
func (e *EventError) EventPosition() event.Position { return e.Position }

// ErrorType is the error.type attribute of telemetry: that of the handler's error, if it
// has one.
func (e *EventError) ErrorType() string {
	if t, ok := errors.AsType[interface {
		error
		ErrorType() string
	}](e.Err); ok {
		return t.ErrorType()
	}
	return "event"
}

func (e *EventError) Unwrap() error { return e.Err }

// HistoryError says that the tables of a projection belong to another history of the store,
// or are beyond its end. It matches store.ErrHistory. Nothing was changed.
type HistoryError struct {
	Projection string
	History    event.ID       // of the store
	Found      event.ID       // of the row; that of the store when the row is beyond its end
	Position   event.Position // up to which the tables have everything, by that history
	Head       event.Position // of the store, when the row is beyond it; else 0
}

func (e *HistoryError) Error() string {
	name, found := quote(e.Projection), quote(e.Found.String())
	var b strings.Builder
	if e.Found == e.History {
		fmt.Fprintf(&b, "sqlsink: the tables of %s are at position %d, but the store ends at %d: it is another one, or was restored.", e.Projection, e.Position, e.Head)
	} else {
		fmt.Fprintf(&b, "sqlsink: the tables of %s were written from another store, or before it was restored (history %s at position %d; the store has %s).", e.Projection, e.Found, e.Position, e.History)
	}
	fmt.Fprintf(&b, " Stop the projection and choose. To build the tables anew, empty them and run:"+
		"\n  DELETE FROM riffle_sinks WHERE projection = %[1]s;"+
		"\n  DELETE FROM riffle_sink_late WHERE projection = %[1]s;"+
		"\nIf you know up to which position P tables and store agree, remove what is beyond it and run:"+
		"\n  UPDATE riffle_sinks SET history = %[3]s, term = 0, position = P WHERE projection = %[1]s AND history = %[2]s;"+
		"\n  DELETE FROM riffle_sink_late WHERE projection = %[1]s AND position > P;"+
		"\n  UPDATE riffle_sink_late SET history = %[3]s WHERE projection = %[1]s AND history = %[2]s;"+
		"\nThen resume the projection.", name, found, quote(e.History.String()))
	return b.String()
}

// ErrorType is the error.type attribute of telemetry.
func (*HistoryError) ErrorType() string { return "history" }

// Is matches store.ErrHistory.
func (*HistoryError) Is(target error) bool { return target == store.ErrHistory }

// quote makes a literal of SQL.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// SchemaError says that the tables of the sinks are missing and cannot be made.
type SchemaError struct {
	Dialect Dialect
	Err     error // of the database
}

func (e *SchemaError) Error() string {
	return fmt.Sprintf("sqlsink: the tables of the sinks are missing and cannot be created: %v; let somebody who may do it run:\n%s", e.Err, Schema(e.Dialect))
}

// ErrorType is the error.type attribute of telemetry.
func (*SchemaError) ErrorType() string { return "schema" }

func (e *SchemaError) Unwrap() error { return e.Err }
