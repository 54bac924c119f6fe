package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// packages are those whose symbols the documents name, by the name they have in code.
var packages = map[string]string{
	"event": "event", "store": "store", "engine": "engine", "projection": "projection", "admin": "admin",
	"pebblestore": "store/pebblestore", "storetest": "store/storetest",
	"sqlsink": "projection/sqlsink", "projectiontest": "projection/projectiontest",
}

// documents are those that name commands and symbols in their text.
var documents = []string{"docs/operations.md", "docs/coming-from-evento.md", "docs/coming-from.md", "docs/patterns.md", "cmd/riffle/README.md"}

const module = "../../"

// symbols are the exported names of a package: of functions, types, values, and behind a
// dot those of fields and methods.
func symbols(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(module, dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no package in %s: %v", dir, err)
	}
	names := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					name = receiver(d.Recv.List[0].Type) + "." + name
				}
				names[name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					declare(names, spec)
				}
			}
		}
	}
	return names
}

// receiver is the name of a method's type, without star and type parameters.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

func declare(names map[string]bool, spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, n := range spec.Names {
			names[n.Name] = true
		}
	case *ast.TypeSpec:
		names[spec.Name.Name] = true
		fields := &ast.FieldList{}
		switch s := spec.Type.(type) {
		case *ast.StructType:
			fields = s.Fields
		case *ast.InterfaceType:
			fields = s.Methods
		}
		for _, f := range fields.List {
			for _, n := range f.Names {
				names[spec.Name.Name+"."+n.Name] = true
			}
		}
	}
}

func TestDocumentsNameOnlyWhatExists(t *testing.T) {
	t.Parallel()
	known := map[string]map[string]bool{}
	for name, dir := range packages {
		known[name] = symbols(t, dir)
	}
	selector := regexp.MustCompile(`\b([a-z]+)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	checked := 0
	for _, file := range documents {
		text, err := os.ReadFile(module + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range selector.FindAllStringSubmatch(string(text), -1) {
			names, ok := known[m[1]]
			if !ok {
				continue // a variable
			}
			checked++
			if !names[m[2]] {
				t.Errorf("%s names %s, which does not exist", file, m[0])
			} else if m[3] != "" && !names[m[2]+"."+m[3]] {
				t.Errorf("%s names %s: there is no such field or method", file, m[0])
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d names checked", checked)
	}
}

func TestDocumentsNameOnlyCommandsThatExist(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile("(?m)(?:`|^)riffle ([^`\n#|]*)")
	flag := regexp.MustCompile(`(?:^|\s)--([a-z-]+)`)
	checked := 0
	for _, file := range documents {
		text, err := os.ReadFile(module + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			words := strings.Fields(m[1])
			if len(words) == 0 || strings.HasPrefix(words[0], "…") {
				continue
			}
			root := newRoot()
			root.InitDefaultCompletionCmd()
			i := slices.IndexFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == words[0] || c.HasAlias(words[0]) })
			if i < 0 {
				t.Errorf("%s: there is no command riffle %s", file, words[0])
				continue
			}
			checked++
			for _, f := range flag.FindAllStringSubmatch(m[1], -1) {
				if f[1] != "help" && root.Commands()[i].Flags().Lookup(f[1]) == nil {
					t.Errorf("%s: riffle %s has no flag --%s", file, words[0], f[1])
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d commands checked", checked)
	}
}
