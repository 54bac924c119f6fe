package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riffle-go/riffle/store/pebblestore"
)

func TestTheTourShowsEveryStepAndGoesOnInASecondRun(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bank.db")
	for _, want := range []string{
		`append:   two accounts, positions 1 to 3
read:     Ann has 10000 cents at version 2
conflict: expected version 2, it is 3: only 2000 cents are left
retry:    the same append twice is one event at version 4
filter:   500 cents deposited at position 6, requested by ""
filter:   5000 cents deposited at position 4, requested by "clerk-7"
page 1:   versions 1 to 3, more: true
page 2:   versions 4 to 4, more: false
wait:     bank/account was withdrawn
the store now holds 7 events, in ` + dir + "\n",
		`append:   two accounts, positions 8 to 10
read:     Ann has 10000 cents at version 2
conflict: expected version 2, it is 3: only 2000 cents are left
retry:    the same append twice is one event at version 4
filter:   500 cents deposited at position 13, requested by ""
filter:   5000 cents deposited at position 11, requested by "clerk-7"
page 1:   versions 1 to 3, more: true
page 2:   versions 4 to 4, more: false
wait:     bank/account was withdrawn
the store now holds 14 events, in ` + dir + "\n",
	} {
		var out bytes.Buffer
		if err := start(t.Context(), dir, &out); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("the tour says\n%s\nwant\n%s", &out, want)
		}
	}
	st, err := pebblestore.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestATemporaryStoreIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	if err := start(t.Context(), "", &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "the store now holds 7 events, in "+os.TempDir()) || !strings.HasSuffix(out.String(), "removed: keep it by -dir\n") {
		t.Errorf("the tour says\n%s", &out)
	}
	left, err := os.ReadDir(os.TempDir())
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
