package admin_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/riffle-go/riffle/admin"
)

// The description of the API is checked without a library: these tests read the part of
// YAML that it is written in, and the part of JSON Schema that it uses.

// described is openapi.yaml, read once.
var described = sync.OnceValue(func() m {
	data, err := os.ReadFile("openapi.yaml")
	if err != nil {
		panic(err)
	}
	return readYAML(string(data))
})

// operation finds what the description says of a request.
func operation(method, path string) (m, string) {
	paths := described()["paths"].(m)
	path = "/" + path
	if of, ok := paths[path].(m); ok {
		op, _ := of[strings.ToLower(method)].(m)
		return op, path
	}
	for pattern, of := range paths {
		re := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(pattern), "[^/]+")
		if regexp.MustCompile("^" + re + "$").MatchString(path) {
			op, _ := of.(m)[strings.ToLower(method)].(m)
			return op, pattern
		}
	}
	return nil, ""
}

// checked compares an answer with the description of its route.
func (a *answer) checked(path string) *answer {
	a.Helper()
	path, _, _ = strings.Cut(path, "?")
	method, _, _ := strings.Cut(a.what, " ")
	op, pattern := operation(method, path)
	if op == nil {
		if a.status/100 == 2 {
			a.Errorf("%s: not in openapi.yaml", a.what)
		}
		return a
	}
	responses := op["responses"].(m)
	response, ok := responses[strconv.Itoa(a.status)].(m)
	if !ok {
		response, ok = responses["default"].(m)
	}
	if !ok {
		a.Errorf("%s: answer %d is not described", a.what, a.status)
		return a
	}
	response = resolve(response)
	contentType := a.header.Get("Content-Type")
	media, ok := response["content"].(m)[contentType].(m)
	if !ok {
		a.Errorf("%s: answer %d is not described as %s", a.what, a.status, contentType)
		return a
	}
	if !strings.HasSuffix(contentType, "json") {
		return a
	}
	var v any
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.Errorf("%s: %v", a.what, err)
	}
	for _, fault := range validate(media["schema"].(m), v, pattern) {
		a.Errorf("%s: %s", a.what, fault)
	}
	return a
}

func resolve(s m) m {
	for {
		ref, ok := s["$ref"].(string)
		if !ok {
			return s
		}
		at := any(described())
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			at = at.(m)[part]
		}
		s = at.(m)
	}
}

// validate returns what is wrong with a value; properties that are not described are, too.
func validate(schema m, v any, at string) (faults []string) {
	return validateAs(schema, v, at, properties(schema))
}

// properties gathers the properties of a schema and of all that it extends.
func properties(schema m) m {
	schema = resolve(schema)
	out := m{}
	for _, part := range anys(schema["allOf"]) {
		for k, p := range properties(part.(m)) {
			out[k] = p
		}
	}
	if own, ok := schema["properties"].(m); ok {
		for k, p := range own {
			out[k] = p
		}
	}
	return out
}

func anys(v any) []any { list, _ := v.([]any); return list }

func validateAs(schema m, v any, at string, known m) (faults []string) {
	schema = resolve(schema)
	for _, part := range anys(schema["allOf"]) {
		faults = append(faults, validateAs(part.(m), v, at, known)...)
	}
	if any := anys(schema["anyOf"]); any != nil {
		var all []string
		for _, part := range any {
			wrong := validate(part.(m), v, at)
			if len(wrong) == 0 {
				return faults
			}
			all = append(all, wrong...)
		}
		return append(faults, all...)
	}
	if t := schema["type"]; t != nil {
		types := anys(t)
		if types == nil {
			types = []any{t}
		}
		if !slices.ContainsFunc(types, func(t any) bool { return isOf(t.(string), v) }) {
			return append(faults, fmt.Sprintf("%s: %v is not of type %v", at, v, t))
		}
	}
	if enum := anys(schema["enum"]); enum != nil && !slices.Contains(enum, v) {
		faults = append(faults, fmt.Sprintf("%s: %v is none of %v", at, v, enum))
	}
	if p, ok := schema["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(fmt.Sprint(v)) {
		faults = append(faults, fmt.Sprintf("%s: %v does not match %s", at, v, p))
	}
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			faults = append(faults, validate(schema["items"].(m), item, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case m:
		for _, name := range anys(schema["required"]) {
			if _, ok := v[name.(string)]; !ok {
				faults = append(faults, fmt.Sprintf("%s: %v is missing", at, name))
			}
		}
		own, _ := schema["properties"].(m)
		rest, open := schema["additionalProperties"].(m)
		for name, value := range v {
			switch {
			case own[name] != nil:
				faults = append(faults, validate(own[name].(m), value, at+"."+name)...)
			case open:
				faults = append(faults, validate(rest, value, at+"."+name)...)
			case known[name] == nil && len(known) > 0:
				faults = append(faults, fmt.Sprintf("%s: %s is not described", at, name))
			}
		}
	}
	return faults
}

func isOf(t string, v any) bool {
	switch v := v.(type) {
	case nil:
		return t == "null"
	case string:
		return t == "string"
	case bool:
		return t == "boolean"
	case float64:
		return t == "number" || t == "integer" && v == float64(int64(v))
	case []any:
		return t == "array"
	default:
		return t == "object"
	}
}

func TestTheDescriptionNamesEveryRouteAndNoOther(t *testing.T) {
	t.Parallel()
	var have, want []string
	for path, of := range described()["paths"].(m) {
		for method := range of.(m) {
			have = append(have, strings.ToUpper(method)+" "+path)
		}
	}
	want = append(want, admin.Routes()...)
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		t.Errorf("openapi.yaml has\n%s\nthe mux has\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if len(have) < 25 {
		t.Error("only", len(have), "routes")
	}
}

func TestTheDocsNameEveryRoute(t *testing.T) {
	t.Parallel()
	for file, form := range map[string]string{"doc.go": "(?m)^//\t%s +%s( |$)", "../docs/admin.md": "(?m)^\\| .*`%s %s`"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range admin.Routes() {
			method, path, _ := strings.Cut(route, " ")
			path = strings.TrimPrefix(path, "/")
			if path == "live" || path == "ready" || file != "doc.go" && path == "api/openapi.yaml" {
				continue // they stand in the prose
			}
			if !regexp.MustCompile(fmt.Sprintf(form, method, regexp.QuoteMeta(path))).Match(text) {
				t.Errorf("%s does not name %s", file, route)
			}
		}
	}
}

func TestTheDescriptionNamesEveryProblemAndNoOther(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var have, want []string
	for _, row := range regexp.MustCompile(`(?m)^    \| ([a-z-]+) \| (\d{3}) \|`).FindAllStringSubmatch(string(data), -1) {
		have = append(have, row[1]+" "+row[2])
	}
	want = admin.Problems(t)
	slices.Sort(have)
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(have, want) {
		t.Errorf("openapi.yaml has\n%s\nthe code has\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
}

func TestTheDescriptionIsConsistent(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	var walk func(v any, at string)
	walk = func(v any, at string) {
		switch v := v.(type) {
		case m:
			if _, ok := v["$ref"]; ok && resolve(v) == nil {
				t.Error(at, "refers to nothing:", v)
			}
			for k, x := range v {
				walk(x, at+"."+k)
			}
		case []any:
			for _, x := range v {
				walk(x, at)
			}
		}
	}
	walk(described(), "")
	for path, of := range described()["paths"].(m) {
		for _, op := range of.(m) {
			id := op.(m)["operationId"].(string)
			if seen[id] {
				t.Error(id, "is there twice")
			}
			seen[id] = true
			for _, name := range regexp.MustCompile(`\{([a-z]+)\}`).FindAllStringSubmatch(path, -1) {
				found := slices.ContainsFunc(anys(op.(m)["parameters"]), func(p any) bool {
					r := resolve(p.(m))
					return r["in"] == "path" && r["name"] == name[1]
				})
				if !found {
					t.Error(path, "does not describe", name[1])
				}
			}
		}
	}
}
