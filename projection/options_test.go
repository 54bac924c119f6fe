package projection_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// Every option says what it is without being set, and is used in an Example.
func TestOptionsHaveADefaultInTheirCommentAndAnExample(t *testing.T) {
	t.Parallel()
	files := token.NewFileSet()
	options, err := parser.ParseFile(files, "options.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	examples, err := parser.ParseFile(files, "example_test.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, d := range examples.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(f.Name.Name, "Example") {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if field, ok := n.(*ast.KeyValueExpr); ok {
				if name, ok := field.Key.(*ast.Ident); ok {
					shown[name.Name] = true
				}
			}
			return true
		})
	}
	seen := 0
	ast.Inspect(options, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		fields, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range fields.Fields.List {
			name := f.Names[0].Name
			if name == "_" {
				continue
			}
			seen++
			of := spec.Name.Name + "." + name
			says := strings.Contains(f.Doc.Text(), "Default") || strings.Contains(f.Doc.Text(), "by default")
			if !says {
				t.Errorf("the comment of %s does not give its default", of)
			}
			if !shown[name] {
				t.Errorf("no Example sets %s", of)
			}
		}
		return true
	})
	if seen < 20 {
		t.Errorf("%d options were found", seen)
	}
}
