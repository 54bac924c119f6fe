package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
	"github.com/riffle-go/riffle/worker"
)

// keepRetired is how long a generation is kept after another one became active: readers
// may still be in it, and so may programs of an older version.
const keepRetired = 10 * time.Minute

// role is what a worker does for its projection.
type role uint8

const (
	serving  role = iota + 1 // keeps the active generation up to date
	building                 // builds the one that shall replace it
)

// plan is what shall run for a projection, as its stored row and its program have it.
type plan struct {
	row   store.ProjectionRow
	roles map[uint32]role // by generation; empty when nothing shall run
	// blocked is why the program may do nothing; nil when it may.
	blocked *StateError
	// reset says that a sink must go back to its start before it runs.
	reset bool
	// expired are generations to delete now; next is when to look again, zero for never.
	expired []store.Generation
	next    time.Time
}

// builds returns the generation that is being built.
func (p *plan) builds() (store.Generation, bool) {
	i := slices.IndexFunc(p.row.Generations, func(g store.Generation) bool { return p.roles[g.Number] == building })
	if i < 0 {
		return store.Generation{}, false
	}
	return p.row.Generations[i], true
}

// serves says whether the active generation is kept up to date by this program.
func (p *plan) serves() bool { return p.roles[p.row.Active] == serving }

// identity is what distinguishes the generations of a projection.
type identity struct {
	revision    int
	fingerprint string
	filter      string
}

func identityOf(g store.Generation) identity {
	return identity{revision: g.Revision, fingerprint: g.Fingerprint, filter: g.Filter}
}

// change says in words what differs.
func (id identity) change(g store.Generation) string {
	switch {
	case id.revision != g.Revision:
		return fmt.Sprintf("its revision is %d, stored is %d", id.revision, g.Revision)
	case id.fingerprint != g.Fingerprint:
		return "the shape of its state is another than that of the stored states"
	default:
		return "it reads other events than the stored states were made of"
	}
}

// decision is a plan, and what must be written before it holds.
type decision struct {
	plan
	save   bool   // write plan.row
	notice string // what to tell operators when it is written; "" is nothing
}

// decide compares the stored row with the program. It only computes.
func decide(p *program.Program, mine identity, row store.ProjectionRow, now time.Time) (decision, error) {
	row.Generations = slices.Clone(row.Generations)
	d := decision{plan: plan{row: row, roles: map[uint32]role{}}}
	active := d.generation(row.Active)
	switch {
	case row.Kind != p.Kind.String():
		return d, &store.InvalidError{
			Field:  fmt.Sprintf("Projections: %q", p.Name),
			Reason: fmt.Sprintf("is %s, but the store knows it as %s; give the new one another name, or delete the old one", article(p.Kind.String()), article(row.Kind)),
		}
	case active == nil:
		return d, &store.CorruptError{What: "projection", Key: p.Name, Err: fmt.Errorf("its active generation %d is missing", row.Active)}
	case p.Kind != program.Model && active.Fingerprint != mine.fingerprint:
		return d, &store.InvalidError{
			Field:  fmt.Sprintf("Projections: RoutingKey of %q", p.Name),
			Reason: fmt.Sprintf("selects %s, but it has run with %s and would miss events of its past; give the changed projection another name", mine.fingerprint, active.Fingerprint),
		}
	}
	switch p.Kind {
	case program.Model:
		d.model(p, mine, active, now)
	case program.Sink:
		d.sink(p, mine, active)
	default:
		d.roles[active.Number] = serving
		d.adopt(mine, active)
	}
	d.findExpired(now)
	return d, nil
}

func (d *decision) generation(number uint32) *store.Generation {
	i := slices.IndexFunc(d.row.Generations, func(g store.Generation) bool { return g.Number == number })
	if i < 0 {
		return nil
	}
	return &d.row.Generations[i]
}

// model keeps the active generation, or builds another one where the program has changed.
func (d *decision) model(p *program.Program, mine identity, active *store.Generation, now time.Time) {
	var build *store.Generation
	newest := active.Revision
	for i := range d.row.Generations {
		g := &d.row.Generations[i]
		if g.State != store.Building {
			continue
		}
		newest = max(newest, g.Revision)
		if identityOf(*g) == mine {
			build = g
		}
	}
	same := identityOf(*active) == mine
	if build != nil {
		d.roles[build.Number] = building
	}
	if same {
		d.roles[active.Number] = serving
	}
	if same || build != nil {
		return
	}
	switch {
	case mine.revision < newest:
		d.block(p, worker.Standby, fmt.Sprintf("this program has revision %d, the store has %d already; it waits to be replaced", mine.revision, newest))
	case d.wasActive(mine):
		// Two programs of one revision would replace each other's generation for ever.
		d.block(p, worker.Standby, "another version of the program, of the same revision, has replaced its states; raise the revision of the one that shall win")
	case p.OnChange == program.ChangeHalt:
		d.block(p, worker.Halted, mine.change(*active)+"; rebuild it, or take the change back")
	default:
		d.begin(mine, now)
		d.notice = "the projection has changed and is rebuilt: " + mine.change(*active)
	}
}

// begin adds a generation to build; those that are built for older programs are given up.
func (d *decision) begin(mine identity, now time.Time) {
	for i := range d.row.Generations {
		if g := &d.row.Generations[i]; g.State == store.Building && g.Revision <= mine.revision {
			g.State = store.Retired // without a RetiredAt: nobody ever read it
		}
	}
	g := mine.generation(d.row.Next, store.Building, now)
	d.row.Generations = append(d.row.Generations, g)
	d.row.Next++
	d.roles[g.Number] = building
	d.save = true
}

func (id identity) generation(number uint32, state store.GenerationState, now time.Time) store.Generation {
	return store.Generation{
		Number: number, Revision: id.revision, Fingerprint: id.fingerprint, Filter: id.filter,
		State: state, CreatedAt: now,
	}
}

// wasActive says whether a program of this identity has been replaced a short while ago.
func (d *decision) wasActive(mine identity) bool {
	return slices.ContainsFunc(d.row.Generations, func(g store.Generation) bool {
		return g.State == store.Retired && !g.RetiredAt.IsZero() && identityOf(g) == mine
	})
}

// sink goes on where it was; a raised revision, which needs a target that can be reset,
// starts it again.
func (d *decision) sink(p *program.Program, mine identity, active *store.Generation) {
	switch {
	case mine.revision < active.Revision:
		d.block(p, worker.Standby, fmt.Sprintf("this program has revision %d, the store has %d already; it waits to be replaced", mine.revision, active.Revision))
	case mine.revision > active.Revision:
		d.reset = true
	default:
		d.roles[active.Number] = serving
		d.adopt(mine, active)
	}
}

// adopt writes down that an effect or a sink reads other events now. It goes on from its
// checkpoint: what it did not read before is not made up for.
func (d *decision) adopt(mine identity, active *store.Generation) {
	if identityOf(*active) == mine {
		return
	}
	d.notice = "the projection reads other events than before, and goes on from its checkpoint"
	active.Filter = mine.filter
	d.save = true
}

func (d *decision) block(p *program.Program, state worker.State, reason string) {
	d.blocked = &StateError{Projection: p.Name, State: state, Reason: reason}
}

// findExpired finds what nobody reads any more.
func (d *decision) findExpired(now time.Time) {
	for _, g := range d.row.Generations {
		if g.State != store.Retired {
			continue
		}
		due := g.RetiredAt.Add(keepRetired)
		switch {
		case g.RetiredAt.IsZero() || !now.Before(due):
			d.expired = append(d.expired, g)
		case d.next.IsZero() || due.Before(d.next):
			d.next = due
		}
	}
}

func article(kind string) string {
	if kind == program.Effect.String() {
		return "an " + kind
	}
	return "a " + kind
}
