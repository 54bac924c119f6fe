// Package event is the vocabulary: events, streams, types, metadata, and the schema
// that turns payloads into stored events and back. A domain package needs nothing
// else of Riffle.
//
// An event is a fact. A domain writes it as a plain Go type with an EventType method,
// a [Payload]; the store keeps it in an envelope, an [Event]. The stored name comes
// from that method alone: there is no registry, and renaming a Go type changes
// nothing that is stored.
//
//	encode                          append                    read
//	Payload ──Schema.Encode──▶ Event ──store──▶ stored Event ──Schema.Bind──▶ Event ──Decode──▶ Payload
//
// # Schema evolution
//
// Stored events never change, but code does. A [Schema] says how old events become
// the payloads of today:
//
//   - A payload that changed takes the next schema version ([Versioned]) and an
//     [Upcast] from the one before. Chains are followed to the version that is wanted.
//   - A type that was renamed gets an [Alias].
//   - What the old Go type cannot express is changed as bytes by [UpcastRaw].
//   - [Encode] chooses another [Codec]; events are read by their stored content type.
//
// # Failure
//
// Input that cannot be stored is an [*InvalidError], which is [ErrInvalid] to
// errors.Is. An event that cannot become the wanted payload is a [*DecodeError]: the
// same code will fail on it again, so the remedy is other code or setting the event
// aside. Faults in the rules of a schema are collected by Schema.Err, and a schema with
// faults refuses to encode and to decode. Metadata that was damaged gives the entries
// that can be read. Nothing here panics on hostile bytes, and nothing blocks.
//
// All types are safe for concurrent use as values; slices inside them (Event.Data)
// are shared between copies and must not be modified.
package event
