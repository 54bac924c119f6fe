package engine

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func generation(number uint32, revision int, state store.GenerationState) store.Generation {
	return store.Generation{Number: number, Revision: revision, Fingerprint: "shape", Filter: "filter", State: state, CreatedAt: noon}
}

func rowOf(active uint32, generations ...store.Generation) store.ProjectionRow {
	return store.ProjectionRow{Name: "p", Kind: "model", Active: active, Next: uint32(len(generations)), Start: 1, Generations: generations, Revision: 7}
}

func TestWhatRunsFollowsFromRowAndProgram(t *testing.T) {
	t.Parallel()
	mine := identity{revision: 2, fingerprint: "shape", filter: "filter"}
	retired := func(g store.Generation, at time.Time) store.Generation {
		g.State, g.RetiredAt = store.Retired, at
		return g
	}
	for _, tc := range []struct {
		name    string
		row     store.ProjectionRow
		change  program.Change
		roles   map[uint32]role
		blocked worker.State
		save    bool
	}{
		{
			name: "the same definition serves", row: rowOf(0, generation(0, 2, store.Active)),
			roles: map[uint32]role{0: serving},
		},
		{
			name: "a higher revision builds beside and does not serve", row: rowOf(0, generation(0, 1, store.Active)),
			roles: map[uint32]role{1: building}, save: true,
		},
		{
			name: "a rebuild under way goes on", row: rowOf(0, generation(0, 1, store.Active), generation(1, 2, store.Building)),
			roles: map[uint32]role{1: building},
		},
		{
			name: "a rebuild of the same definition runs beside the served one", row: rowOf(0, generation(0, 2, store.Active), generation(1, 2, store.Building)),
			roles: map[uint32]role{0: serving, 1: building},
		},
		{
			name: "older code stands by", row: rowOf(0, generation(0, 3, store.Active)),
			blocked: worker.Standby,
		},
		{
			name: "older code that is still active serves while newer code builds", row: rowOf(0, generation(0, 2, store.Active), generation(1, 3, store.Building)),
			roles: map[uint32]role{0: serving},
		},
		{
			name: "code between the active and a newer build stands by", row: rowOf(0, generation(0, 1, store.Active), generation(1, 3, store.Building)),
			blocked: worker.Standby,
		},
		{
			name: "a build of an older revision is given up for this one", row: rowOf(0, generation(0, 0, store.Active), generation(1, 1, store.Building)),
			roles: map[uint32]role{2: building}, save: true,
		},
		{
			name: "two programs of one revision do not replace each other for ever",
			row: rowOf(1, retired(generation(0, 2, store.Retired), noon),
				store.Generation{Number: 1, Revision: 2, Fingerprint: "other", Filter: "filter", State: store.Active}),
			blocked: worker.Standby,
		},
		{
			name: "a change halts when told so", row: rowOf(0, generation(0, 1, store.Active)),
			change: program.ChangeHalt, blocked: worker.Halted,
		},
		{
			name:   "a change that was decided is built also when told to halt",
			row:    rowOf(0, generation(0, 1, store.Active), generation(1, 2, store.Building)),
			change: program.ChangeHalt, roles: map[uint32]role{1: building},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := &program.Program{Name: "p", Kind: program.Model, OnChange: tc.change}
			before := slices.Clone(tc.row.Generations)
			d, err := decide(p, mine, tc.row, noon)
			if err != nil {
				t.Fatal(err)
			}
			if len(d.roles) != len(tc.roles) {
				t.Fatalf("roles %v, want %v", d.roles, tc.roles)
			}
			for g, r := range tc.roles {
				if d.roles[g] != r {
					t.Errorf("generation %d has role %d, want %d", g, d.roles[g], r)
				}
			}
			switch {
			case tc.blocked == "" && d.blocked != nil:
				t.Errorf("blocked: %v", d.blocked)
			case tc.blocked != "" && (d.blocked == nil || d.blocked.State != tc.blocked):
				t.Errorf("blocked is %v, want %s", d.blocked, tc.blocked)
			}
			if d.save != tc.save {
				t.Errorf("save is %v, want %v", d.save, tc.save)
			}
			if d.save && d.notice == "" {
				t.Error("a change of what is stored is silent")
			}
			if !slices.Equal(before, tc.row.Generations) {
				t.Error("decide changed the row that it was given")
			}
		})
	}
}

func TestNumbersOfGenerationsAreNeverUsedTwice(t *testing.T) {
	t.Parallel()
	row := rowOf(0, generation(0, 1, store.Active))
	row.Next = 9 // generations 1 to 8 are gone
	d, err := decide(&program.Program{Name: "p", Kind: program.Model}, identity{2, "shape", "filter"}, row, noon)
	if err != nil {
		t.Fatal(err)
	}
	if d.roles[9] != building || d.row.Next != 10 {
		t.Fatalf("roles %v, next %d; want generation 9, then 10", d.roles, d.row.Next)
	}
}

func TestAnotherKindUnderTheNameIsRefused(t *testing.T) {
	t.Parallel()
	_, err := decide(&program.Program{Name: "p", Kind: program.Effect}, identity{}, rowOf(0, generation(0, 0, store.Active)), noon)
	if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), "an effect") || !strings.Contains(err.Error(), "a model") {
		t.Fatalf("got %v", err)
	}
}

func TestAnEffectGoesOnWhenItReadsOtherEvents(t *testing.T) {
	t.Parallel()
	g := generation(0, 0, store.Active)
	g.Fingerprint = "every routing key"
	row := rowOf(0, g)
	row.Kind = "effect"
	d, err := decide(&program.Program{Name: "p", Kind: program.Effect}, identity{0, "every routing key", "other"}, row, noon)
	if err != nil {
		t.Fatal(err)
	}
	if d.roles[0] != serving || !d.save || d.row.Generations[0].Filter != "other" || d.notice == "" {
		t.Fatalf("decision %+v", d)
	}
}

func TestAnEffectWithAnotherRoutingKeyIsRefused(t *testing.T) {
	t.Parallel()
	g := generation(0, 0, store.Active)
	g.Fingerprint = `routing key "eu"`
	row := rowOf(0, g)
	row.Kind = "effect"
	_, err := decide(&program.Program{Name: "p", Kind: program.Effect}, identity{0, `routing key "us"`, "filter"}, row, noon)
	if !errors.Is(err, store.ErrInvalid) || !strings.Contains(err.Error(), `"eu"`) || !strings.Contains(err.Error(), `"us"`) {
		t.Fatalf("got %v", err)
	}
}

func TestASinkOfARaisedRevisionBeginsAgain(t *testing.T) {
	t.Parallel()
	g := generation(0, 1, store.Active)
	g.Fingerprint = "every routing key"
	row := rowOf(0, g)
	row.Kind = "sink"
	for revision, want := range map[int]struct{ reset, blocked, serves bool }{0: {blocked: true}, 1: {serves: true}, 2: {reset: true}} {
		d, err := decide(&program.Program{Name: "p", Kind: program.Sink}, identity{revision, "every routing key", "filter"}, row, noon)
		if err != nil {
			t.Fatal(err)
		}
		if d.reset != want.reset || (d.blocked != nil) != want.blocked || d.serves() != want.serves {
			t.Errorf("revision %d: reset %v, blocked %v, serves %v", revision, d.reset, d.blocked, d.serves())
		}
	}
}

func TestReplacedGenerationsExpireAfterTenMinutes(t *testing.T) {
	t.Parallel()
	replaced := generation(0, 2, store.Retired)
	replaced.RetiredAt = noon
	givenUp := generation(1, 2, store.Retired) // it was never active
	row := rowOf(2, replaced, givenUp, generation(2, 2, store.Active))
	mine := identity{2, "shape", "filter"}
	for _, tc := range []struct {
		at      time.Duration
		expired []uint32
		next    time.Time
	}{
		{0, []uint32{1}, noon.Add(10 * time.Minute)},
		{10*time.Minute - 1, []uint32{1}, noon.Add(10 * time.Minute)},
		{10 * time.Minute, []uint32{0, 1}, time.Time{}},
	} {
		d, err := decide(&program.Program{Name: "p", Kind: program.Model}, mine, row, noon.Add(tc.at))
		if err != nil {
			t.Fatal(err)
		}
		var numbers []uint32
		for _, g := range d.expired {
			numbers = append(numbers, g.Number)
		}
		if !slices.Equal(numbers, tc.expired) || !d.next.Equal(tc.next) {
			t.Errorf("after %v: expired %v, next %v", tc.at, numbers, d.next)
		}
	}
}
