package event

// Size is how many bytes AppendBinary appends.
func (m Metadata) Size() int { return len(m.wire) }
