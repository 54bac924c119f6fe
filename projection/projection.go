package projection

import "github.com/riffle-go/riffle/internal/program"

// Projection is what an engine runs: a [*Model], an [*Effect] or a [*Sink].
type Projection interface {
	// Name is the name under which the projection is stored.
	Name() string
	// Program is the compiled definition.
	Program() *program.Program
}
