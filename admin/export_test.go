package admin

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Routes are all routes but those of the page.
func Routes() []string {
	all := []string{"GET /live", "GET /ready"}
	for _, r := range apiRoutes {
		all = append(all, r.method+" /api/v1/"+r.path)
	}
	for _, r := range rawRoutes {
		all = append(all, "GET /"+r.path)
	}
	return all
}

// Problems are the types and statuses of all problems that the code can answer with: those
// of sentinels, and those that a call of problemOf names.
func Problems(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, s := range sentinels {
		all = append(all, fmt.Sprint(s.kind, " ", s.status))
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); !ok || id.Name != "problemOf" {
				return true
			}
			kind, okKind := call.Args[1].(*ast.BasicLit)
			status, okStatus := call.Args[0].(*ast.SelectorExpr)
			if !okKind || !okStatus {
				return true // that of the sentinels
			}
			text, _ := strconv.Unquote(kind.Value)
			all = append(all, fmt.Sprint(text, " ", statuses[status.Sel.Name]))
			return true
		})
	}
	return all
}

var statuses = map[string]int{
	"StatusBadRequest": http.StatusBadRequest, "StatusForbidden": http.StatusForbidden, "StatusNotFound": http.StatusNotFound,
	"StatusMethodNotAllowed": http.StatusMethodNotAllowed, "StatusConflict": http.StatusConflict,
	"StatusRequestEntityTooLarge": http.StatusRequestEntityTooLarge, "StatusRequestURITooLong": http.StatusRequestURITooLong,
	"StatusUnsupportedMediaType": http.StatusUnsupportedMediaType, "StatusMisdirectedRequest": http.StatusMisdirectedRequest,
	"StatusUnprocessableEntity": http.StatusUnprocessableEntity, "StatusInternalServerError": http.StatusInternalServerError,
	"StatusServiceUnavailable": http.StatusServiceUnavailable,
}

// Flood gives every client of the stream large messages, until each has missed too many.
func Flood(h *Handler, size int) {
	message := []byte(": " + strings.Repeat("x", size) + "\n\n")
	for range 10_000 {
		h.hub.send(message)
		h.hub.mu.Lock()
		left := len(h.hub.clients)
		h.hub.mu.Unlock()
		if left == 0 {
			return
		}
	}
}
