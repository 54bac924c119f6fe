package handling

import "context"

// Key is the key of the mark in a context; its value is a *Scope. It is exported for the
// one context type that answers it without another layer.
type Key struct{}

// Scope says whose handler runs.
type Scope struct {
	Projection string
	// Appends says that the handler may append: true in effects only. Elsewhere a handler
	// runs again after every crash and in every rebuild, and its appends would repeat.
	Appends bool
}

// With marks a context. The Scope must not be modified any more.
func With(ctx context.Context, s *Scope) context.Context {
	return context.WithValue(ctx, Key{}, s)
}

// From returns the mark of the handler that ctx belongs to; nil outside of handlers. It
// allocates nothing.
func From(ctx context.Context) *Scope {
	s, _ := ctx.Value(Key{}).(*Scope)
	return s
}
