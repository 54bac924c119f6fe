package browsertest

import (
	"fmt"
	"os"
	"testing"
)

// The page's server is held against the same file.
func TestNumbersAreWrittenAsTheServerWritesThem(t *testing.T) {
	t.Parallel()
	cases, err := os.ReadFile("../../../../admin/testdata/formats.json")
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, serve(t, nil))
	b.visit("store")
	for _, wrong := range eval[[]string](b, fmt.Sprintf(`import(new URL("assets/js/format.js", location.href)).then((format) => {
		const now = Date.parse("2026-01-31T08:00:00Z");
		return %s.map(({how, in: value, out}) => {
			const got = how === "ago" ? format.ago(new Date(now - value * 1000).toISOString(), now) : format[how](value);
			return got === out ? "" : how + " of " + value + " is " + got + ", want " + out;
		}).filter(Boolean);
	})`, cases)) {
		t.Error(wrong)
	}
}
