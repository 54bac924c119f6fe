package store

import "google.golang.org/protobuf/encoding/protowire"

// appendElement writes one element of a list, also an empty one.
func appendElement(b []byte, field protowire.Number, element []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), element)
}

// encodeProjection writes a projection's row; its name stands in the record's key and its
// revision is the record's.
func encodeProjection(p *ProjectionRow) []byte {
	b := newValue(128)
	b = appendBytes(b, 1, p.Kind)
	b = appendNumber(b, 2, p.Active)
	b = appendNumber(b, 3, p.Next)
	b = appendNumber(b, 4, p.Start)
	for i := range p.Generations {
		b = appendElement(b, 5, encodeGeneration(&p.Generations[i]))
	}
	for _, s := range p.Skips {
		b = appendElement(b, 6, appendNumber(appendBytes(nil, 1, s.Key), 2, s.Position))
	}
	b = appendTime(b, 7, p.CreatedAt)
	b = appendTime(b, 8, p.SwitchedAt)
	return appendBool(b, 9, p.Deleted)
}

func encodeGeneration(g *Generation) []byte {
	b := appendNumber(nil, 1, g.Number)
	b = appendNumber(b, 2, g.Revision)
	b = appendBytes(b, 3, g.Fingerprint)
	b = appendBytes(b, 4, g.Filter)
	b = appendNumber(b, 5, g.State)
	b = appendTime(b, 6, g.CreatedAt)
	return appendTime(b, 7, g.RetiredAt)
}

func decodeProjection(r Record) (p ProjectionRow, err error) {
	k := readKey(r.Key)
	p.Name = k.text()
	if !k.ok() {
		return ProjectionRow{}, corruptRecord("projection", r.Key, errLength)
	}
	p.Revision = r.Revision
	err = readValue("projection", r.Key, r.Value, func(f wireField) error {
		switch f.num {
		case 1:
			return readText(f, &p.Kind)
		case 2:
			return readNumber(f, &p.Active)
		case 3:
			return readNumber(f, &p.Next)
		case 4:
			return readNumber(f, &p.Start)
		case 5:
			g, err := decodeGeneration(f)
			p.Generations = append(p.Generations, g)
			return err
		case 6:
			s, err := decodeSkip(f)
			p.Skips = append(p.Skips, s)
			return err
		case 7:
			return readTime(f, &p.CreatedAt)
		case 8:
			return readTime(f, &p.SwitchedAt)
		case 9:
			return readBool(f, &p.Deleted)
		}
		return nil
	})
	return p, err
}

func decodeGeneration(from wireField) (g Generation, err error) {
	if from.typ != protowire.BytesType {
		return g, errWireType
	}
	err = readFields(from.b, func(f wireField) error {
		switch f.num {
		case 1:
			return readNumber(f, &g.Number)
		case 2:
			return readNumber(f, &g.Revision)
		case 3:
			return readText(f, &g.Fingerprint)
		case 4:
			return readText(f, &g.Filter)
		case 5:
			return readNumber(f, &g.State)
		case 6:
			return readTime(f, &g.CreatedAt)
		case 7:
			return readTime(f, &g.RetiredAt)
		}
		return nil
	})
	return g, err
}

func decodeSkip(from wireField) (s Skip, err error) {
	if from.typ != protowire.BytesType {
		return s, errWireType
	}
	err = readFields(from.b, func(f wireField) error {
		switch f.num {
		case 1:
			return readText(f, &s.Key)
		case 2:
			return readNumber(f, &s.Position)
		}
		return nil
	})
	return s, err
}
