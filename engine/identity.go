package engine

import (
	"strconv"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
)

// identify returns what distinguishes this program from others of its name. An effect or a
// sink has no states whose shape could matter; where a model has that, they have their
// routing key in words, since a change of it is refused, and the refusal shall say what it
// was. (A model with another routing key reads other events, and is rebuilt.)
func identify(p *program.Program, schema *event.Schema) identity {
	id := identity{revision: p.Revision, fingerprint: p.Fingerprint, filter: p.Filter(schema)}
	if p.Kind == program.Model {
		return id
	}
	switch {
	case p.RoutingKey == nil:
		id.fingerprint = "every routing key"
	case *p.RoutingKey == "":
		id.fingerprint = "no routing key"
	default:
		id.fingerprint = "routing key " + strconv.Quote(*p.RoutingKey)
	}
	return id
}
