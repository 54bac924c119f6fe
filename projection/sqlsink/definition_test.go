package sqlsink_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/projection"
	"github.com/riffle-go/riffle/projection/sqlsink"
	"github.com/riffle-go/riffle/store"
)

const Orders = event.Aggregate("shop/order")

type (
	Placed struct{ Cents int64 }
	Paid   struct{}
	// Odd cannot tell its type when it is empty.
	Odd struct{ of *event.Type }
)

func (Placed) EventType() event.Type { return Orders.Event("placed") }
func (*Paid) EventType() event.Type  { return Orders.Event("paid") }
func (o Odd) EventType() event.Type  { return *o.of }

func place(context.Context, *sql.Tx, Placed, event.Event) error       { return nil }
func pay(context.Context, *sql.Tx, *Paid, event.Event) error          { return nil }
func whole(context.Context, *sql.Tx, []event.Event) error             { return nil }
func back(ctx context.Context, tx *sql.Tx, to event.Position) error   { return nil }
func raw(ctx context.Context, tx *sql.Tx, ev event.Event) error       { return nil }
func odd(ctx context.Context, tx *sql.Tx, e Odd, _ event.Event) error { return nil }
func nobody(context.Context, *sql.Tx, event.Payload, event.Event) error {
	return nil
}

// unreachable is a database that nobody may connect to: what is tested here does not ask it.
type unreachable struct{}

var errUnreachable = errors.New("the database was asked")

func (unreachable) Connect(context.Context) (driver.Conn, error) { return nil, errUnreachable }
func (unreachable) Driver() driver.Driver                        { return nil }

func setup(t *testing.T) *sql.DB {
	t.Helper()
	db := sql.OpenDB(unreachable{})
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestASinkReadsWhatItsHandlersTake(t *testing.T) {
	t.Parallel()
	db := setup(t)
	named := func(names ...string) string {
		match := make([]store.Match, len(names))
		for i, n := range names {
			match[i] = store.Match{Aggregate: Orders, Name: n}
		}
		return fmt.Sprint(match)
	}
	for _, tt := range []struct {
		name     string
		handlers []sqlsink.Handler
		want     string
	}{
		{"typed", []sqlsink.Handler{sqlsink.On(place), sqlsink.On(pay)}, named("paid", "placed")},
		{"one type twice", []sqlsink.Handler{sqlsink.On(place), sqlsink.On(place)}, named("placed")},
		{"an aggregate", []sqlsink.Handler{sqlsink.On(place), sqlsink.OnAny(Orders, raw)}, named("")},
		{"a page of types", []sqlsink.Handler{sqlsink.OnPage(whole, Orders.Event("placed"))}, named("placed")},
		{"every page", []sqlsink.Handler{sqlsink.On(place), sqlsink.OnPage(whole)}, fmt.Sprint([]store.Match(nil))},
		{"with a reset", []sqlsink.Handler{sqlsink.Reset(back), sqlsink.On(place)}, named("placed")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := sqlsink.New("rows", db, sqlsink.SQLite, tt.handlers...).Program()
			if p.Fault != nil {
				t.Fatal(p.Fault)
			}
			if got := fmt.Sprint(p.Match); got != tt.want {
				t.Errorf("reads %s, want %s", got, tt.want)
			}
		})
	}
}

func TestOnlyASinkWithAResetCanGoBack(t *testing.T) {
	t.Parallel()
	db := setup(t)
	if r := sqlsink.New("rows", db, sqlsink.SQLite, sqlsink.On(place)).Program().Sink.Resetter(); r != nil {
		t.Errorf("without a Reset it is a %T", r)
	}
	with := sqlsink.New("rows", db, sqlsink.SQLite, sqlsink.On(place), sqlsink.Reset(back))
	if with.Program().Sink.Resetter() == nil {
		t.Error("with a Reset it cannot go back")
	}
	if fault := with.With(projection.Options{Revision: 1}).Program().Fault; fault != nil {
		t.Errorf("with a Reset a revision is a fault: %v", fault)
	}
}

// Faults are the program's, which an engine refuses, and they stop the sink before it asks
// the database.
func TestFaultsOfADefinitionStopTheSink(t *testing.T) {
	t.Parallel()
	db := setup(t)
	good := sqlsink.On(place)
	for _, tt := range []struct {
		name string
		sink *projection.Sink
		want []string
	}{
		{"no database", sqlsink.New("rows", nil, sqlsink.SQLite, good), []string{"DB", "is nil"}},
		{"another dialect", sqlsink.New("rows", db, "mysql", good), []string{"Dialect", `"mysql"`}},
		{"an interface", sqlsink.New("rows", db, sqlsink.SQLite, good, sqlsink.On(nobody)), []string{"Handler 2", "interface"}},
		{"a payload that panics", sqlsink.New("rows", db, sqlsink.SQLite, sqlsink.On(odd), good), []string{"Handler 1", "panics"}},
		{"no function", sqlsink.New("rows", db, sqlsink.SQLite, good, sqlsink.On[Placed](nil)), []string{"Handler 2", "no function"}},
		{"no function for an aggregate", sqlsink.New("rows", db, sqlsink.SQLite, good, sqlsink.OnAny(Orders, nil)), []string{"Handler 2", "no function"}},
		{"no function for a page", sqlsink.New("rows", db, sqlsink.SQLite, good, sqlsink.OnPage(nil)), []string{"Handler 2", "no function"}},
		{"no function to go back", sqlsink.New("rows", db, sqlsink.SQLite, good, sqlsink.Reset(nil)), []string{"Handler 2", "no function"}},
		{"a bad name", sqlsink.New("rows", db, sqlsink.SQLite, good, sqlsink.OnAny("", raw)), []string{"Handler 2", "empty"}},
		{"a bad type", sqlsink.New("rows", db, sqlsink.SQLite, good, sqlsink.OnPage(whole, event.Type{Aggregate: Orders})), []string{"Handler 2", "Name"}},
		{"an empty handler", sqlsink.New("rows", db, sqlsink.SQLite, good, sqlsink.Handler{}), []string{"Handler 2", "On, OnAny"}},
		{"two ways back", sqlsink.New("rows", db, sqlsink.SQLite, good, sqlsink.Reset(back), sqlsink.Reset(back)), []string{"Handler 3", "another Reset"}},
		{"several faults", sqlsink.New("rows", nil, "", sqlsink.Handler{}, good), []string{"DB", "Dialect", "Handler 1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.sink.Program().Sink.Target.Begin(t.Context(), projection.Session{History: event.NewID(), Term: 1}, 0, 0)
			if !errors.Is(err, store.ErrInvalid) {
				t.Fatalf("Begin: %v, want ErrInvalid", err)
			}
			fault := tt.sink.With(projection.Options{PageSize: 7}).Program().Fault
			if !errors.Is(fault, store.ErrInvalid) {
				t.Fatalf("the program's fault: %v, want ErrInvalid", fault)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) || !strings.Contains(fault.Error(), want) {
					t.Errorf("%q or the program's %q does not name %q", err, fault, want)
				}
			}
		})
	}
	t.Run("nothing to do", func(t *testing.T) {
		t.Parallel()
		if err := sqlsink.New("rows", db, sqlsink.SQLite, sqlsink.Reset(back)).Program().Fault; !errors.Is(err, store.ErrInvalid) {
			t.Errorf("a sink that reads nothing: %v", err)
		}
	})
}

func TestADatabaseThatDoesNotAnswerIsAnErrorToTryAgain(t *testing.T) {
	t.Parallel()
	sink := sqlsink.New("rows", setup(t), sqlsink.PostgreSQL, sqlsink.On(place), sqlsink.Reset(back))
	target := sink.Program().Sink.Resetter()
	s := projection.Session{History: event.NewID(), Term: 1}
	_, begin := target.Begin(t.Context(), s, 0, 0)
	for what, err := range map[string]error{
		"Begin": begin,
		"Write": target.Write(t.Context(), s, 0, 1, nil),
		"Reset": target.Reset(t.Context(), s, 0),
	} {
		if !errors.Is(err, errUnreachable) || errors.Is(err, store.ErrLeaseLost) || errors.Is(err, store.ErrHistory) {
			t.Errorf("%s: %v, want the error of the database", what, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "sqlsink: rows could not ") {
			t.Errorf("%s: %q does not say who could not do what", what, err)
		}
	}
}

func TestEachDialectHasASchemaForBothTables(t *testing.T) {
	t.Parallel()
	for _, d := range []sqlsink.Dialect{sqlsink.SQLite, sqlsink.PostgreSQL} {
		s := sqlsink.Schema(d)
		if strings.Count(s, "CREATE TABLE IF NOT EXISTS") != 2 || strings.Count(s, ";\n") != 2 {
			t.Errorf("%s: %s", d, s)
		}
	}
	if s := sqlsink.Schema("mysql"); s != "" {
		t.Errorf("an unknown dialect has the schema %q", s)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	was, is := event.NewID(), event.NewID()
	other := &sqlsink.HistoryError{Projection: "o'rows", History: is, Found: was, Position: 7}
	beyond := &sqlsink.HistoryError{Projection: "rows", History: is, Found: is, Position: 7, Head: 3}
	schema := &sqlsink.SchemaError{Dialect: sqlsink.SQLite, Err: errUnreachable}
	refused := &sqlsink.EventError{Projection: "rows", Position: 7, Type: Placed{}.EventType(), Err: &event.DecodeError{Err: errUnreachable}}
	for _, tt := range []struct {
		err    error
		typ    string
		is     error
		phrase []string
	}{
		{other, "history", store.ErrHistory, []string{was.String(), is.String(), "'o''rows'", "position 7", "DELETE FROM riffle_sinks", "UPDATE riffle_sinks", "resume"}},
		{beyond, "history", store.ErrHistory, []string{"position 7", "ends at 3"}},
		{schema, "schema", errUnreachable, []string{sqlsink.Schema(sqlsink.SQLite)}},
		{refused, "decode", errUnreachable, []string{"shop/order.placed", "position 7"}},
		{&sqlsink.EventError{Err: errUnreachable}, "event", errUnreachable, nil},
	} {
		typed, ok := tt.err.(interface{ ErrorType() string })
		if !ok || typed.ErrorType() != tt.typ {
			t.Errorf("%T is not of type %q", tt.err, tt.typ)
		}
		if !errors.Is(tt.err, tt.is) {
			t.Errorf("%T is not %v", tt.err, tt.is)
		}
		for _, p := range append(tt.phrase, "sqlsink: ") {
			if !strings.Contains(tt.err.Error(), p) {
				t.Errorf("%q does not say %q", tt.err, p)
			}
		}
	}
	if at := refused.EventPosition(); at != 7 {
		t.Errorf("the event is at %d", at)
	}
}

func ExampleSchema() {
	fmt.Print(sqlsink.Schema(sqlsink.PostgreSQL))
	// Output:
	// CREATE TABLE IF NOT EXISTS riffle_sinks (
	// 	history    text NOT NULL,
	// 	projection text NOT NULL,
	// 	term       bigint NOT NULL,
	// 	position   bigint NOT NULL,
	// 	PRIMARY KEY (history, projection)
	// );
	// CREATE TABLE IF NOT EXISTS riffle_sink_late (
	// 	history    text NOT NULL,
	// 	projection text NOT NULL,
	// 	position   bigint NOT NULL,
	// 	PRIMARY KEY (history, projection, position)
	// );
}
