package admin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"strings"
	"unicode/utf8"
)

// What a payloadView shows.
const (
	shownFull    = "full"
	shownMasked  = "masked"
	shownHidden  = "hidden"
	shownBinary  = "base64"  // full, as base64 in a JSON string, because it is not JSON
	shownOmitted = "omitted" // because it or the page is too large; ask for the thing alone
)

// payloadView is a payload or a state, as far as it may be shown.
type payloadView struct {
	Shown       string          `json:"shown"` // full, masked, hidden, base64 or omitted
	ContentType string          `json:"content_type"`
	Size        int             `json:"size"` // bytes, as stored
	Data        json.RawMessage `json:"data,omitempty"`
}

// budget bounds what a page carries in payloads. One thing alone has none.
type budget struct{ left int }

// pageBytes is how much of payloads a page carries; what comes later is omitted.
const pageBytes = 1 << 20

// payload shows data as Options.Payloads says.
func (h *Handler) payload(contentType string, data []byte, b *budget) payloadView {
	if contentType == "" {
		contentType = "application/json"
	}
	v := payloadView{Shown: shownHidden, ContentType: contentType, Size: len(data)}
	if h.options.Payloads == Hidden {
		return v
	}
	if b != nil {
		if len(data) > b.left {
			v.Shown = shownOmitted
			return v
		}
		b.left -= len(data)
	}
	readable := isJSON(contentType) && json.Valid(data)
	switch {
	case h.options.Payloads == Full && readable && utf8.Valid(data):
		v.Shown, v.Data = shownFull, data
	case h.options.Payloads == Full:
		v.Shown, v.Data = shownBinary, quoted(base64.StdEncoding.EncodeToString(data))
	case readable:
		v.Shown, v.Data = shownMasked, masked(data)
	}
	return v
}

func isJSON(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

func quoted(s string) json.RawMessage {
	b, _ := json.Marshal(s) // a string cannot fail
	return b
}

// masked returns the shape of valid JSON: names of fields with the types of their values.
func masked(data []byte) json.RawMessage {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var b bytes.Buffer
	if err := shape(dec, &b, 0); err != nil && !errors.Is(err, io.EOF) {
		return quoted("JSON that cannot be masked")
	}
	return b.Bytes()
}

// maxShapeDepth is how deep a shape goes; what lies below is an "object" or an "array". Each
// level of arrays costs a copy of what is in it.
const maxShapeDepth = 32

// shape writes the next value with the names of types for its scalars, token by token, so
// that fields keep their order.
func shape(dec *json.Decoder, b *bytes.Buffer, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		switch {
		case depth == maxShapeDepth && t == '{':
			b.WriteString(`"object"`)
			return skipValue(dec)
		case depth == maxShapeDepth:
			b.WriteString(`"array"`)
			return skipValue(dec)
		case t == '{':
			return shapeObject(dec, b, depth)
		}
		return shapeArray(dec, b, depth)
	case string:
		b.WriteString(`"string"`)
	case json.Number:
		b.WriteString(`"number"`)
	case bool:
		b.WriteString(`"bool"`)
	default:
		b.WriteString("null")
	}
	return nil
}

// skipValue passes over the rest of an object or array that was begun.
func skipValue(dec *json.Decoder) error {
	for open := 1; open > 0; {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			open++
		case json.Delim('}'), json.Delim(']'):
			open--
		}
	}
	return nil
}

func shapeObject(dec *json.Decoder, b *bytes.Buffer, depth int) error {
	b.WriteByte('{')
	for n := 0; dec.More(); n++ {
		if n > 0 {
			b.WriteByte(',')
		}
		name, err := dec.Token()
		if err != nil {
			return err
		}
		s, _ := name.(string)
		b.Write(quoted(s))
		b.WriteByte(':')
		if err := shape(dec, b, depth+1); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	_, err := dec.Token()
	return err
}

// shapeArray writes each different shape of the elements once.
func shapeArray(dec *json.Decoder, b *bytes.Buffer, depth int) error {
	b.WriteByte('[')
	seen := make(map[string]struct{})
	for dec.More() {
		var element bytes.Buffer
		if err := shape(dec, &element, depth+1); err != nil {
			return err
		}
		text := element.String()
		if _, dup := seen[text]; dup {
			continue
		}
		if len(seen) > 0 {
			b.WriteByte(',')
		}
		seen[text] = struct{}{}
		b.WriteString(text)
	}
	b.WriteByte(']')
	_, err := dec.Token()
	return err
}
