package event

import "context"

type metadataKey struct{}

// WithMetadata returns a context whose metadata is that of ctx with md merged over
// it. Events that are appended under it carry these pairs.
func WithMetadata(ctx context.Context, md Metadata) context.Context {
	if md.IsZero() {
		return ctx
	}
	return context.WithValue(ctx, metadataKey{}, MetadataFrom(ctx).Merge(md))
}

// MetadataFrom returns the metadata that WithMetadata put into the context; empty if
// there is none.
func MetadataFrom(ctx context.Context) Metadata {
	md, _ := ctx.Value(metadataKey{}).(Metadata)
	return md
}
