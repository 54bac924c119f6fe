package projection

import (
	"context"
	"encoding/json"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/riffle-go/riffle/event"
	"github.com/riffle-go/riffle/internal/program"
	"github.com/riffle-go/riffle/store"
)

// json is a stored state for those who do not know S.
func (m *Model[S]) json(sn store.Snapshot) ([]byte, error) {
	s, err := m.decode(sn)
	if err != nil {
		return nil, err
	}
	return m.valueJSON(s)
}

// valueJSON is what the codec writes if that is JSON, and otherwise what people can read.
func (m *Model[S]) valueJSON(s *S) ([]byte, error) {
	v := inner(s)
	if message, ok := v.(proto.Message); ok {
		return protojson.Marshal(message)
	}
	if m.codec.ContentType() == event.JSON().ContentType() {
		return m.codec.Marshal(v)
	}
	return json.Marshal(v)
}

// loadedAt is LoadAt for those who do not know S.
func (m *Model[S]) loadedAt(ctx context.Context, st *store.Store, at store.Point, s event.Stream) (program.Loaded, error) {
	state, err := m.LoadAt(ctx, st, at, s)
	if err != nil {
		return program.Loaded{}, err
	}
	data, err := m.valueJSON(&state.Value)
	return program.Loaded{JSON: data, Position: state.Position, Version: state.Version, Revision: state.Revision}, err
}
