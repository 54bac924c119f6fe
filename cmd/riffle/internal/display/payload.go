package display

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
)

// IsJSON says whether a content type is JSON; "" is.
func IsJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

// Payload returns encoded data as a JSON value: the data itself when it is JSON, else a
// string with its base64.
func Payload(contentType string, data []byte) json.RawMessage {
	if IsJSON(contentType) && json.Valid(data) {
		return data
	}
	return quoted(base64.StdEncoding.EncodeToString(data))
}

// Masked returns the shape of encoded data as a JSON value: field names with the types of
// their values, and not a single value. Data that is not JSON is described by its size.
func Masked(contentType string, data []byte) json.RawMessage {
	if !IsJSON(contentType) {
		return quoted(fmt.Sprintf("%d bytes of %s", len(data), contentType))
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var b bytes.Buffer
	err := shape(dec, &b)
	if err == nil {
		if _, err = dec.Token(); errors.Is(err, io.EOF) {
			return b.Bytes()
		}
	}
	return quoted(fmt.Sprintf("%d bytes that are not JSON", len(data)))
}

func quoted(s string) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(`""`) // a string can always be marshalled
	}
	return b
}

// shape writes the next value with its scalars replaced by the names of their types. It
// goes from token to token, so that fields keep their order.
func shape(dec *json.Decoder, b *bytes.Buffer) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return shapeObject(dec, b)
		}
		return shapeArray(dec, b)
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

func shapeObject(dec *json.Decoder, b *bytes.Buffer) error {
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
		if err := shape(dec, b); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	_, err := dec.Token()
	return err
}

// shapeArray writes each different shape of the elements once, in order.
func shapeArray(dec *json.Decoder, b *bytes.Buffer) error {
	b.WriteByte('[')
	seen := map[string]bool{}
	for dec.More() {
		var element bytes.Buffer
		if err := shape(dec, &element); err != nil {
			return err
		}
		if seen[element.String()] {
			continue
		}
		if len(seen) > 0 {
			b.WriteByte(',')
		}
		seen[element.String()] = true
		b.Write(element.Bytes())
	}
	b.WriteByte(']')
	_, err := dec.Token()
	return err
}
