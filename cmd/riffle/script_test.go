package main

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/riffle-go/riffle/store/pebblestore"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"riffle": main, "mkstore": mkstore, "bankservice": bankservice})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	var remembered sync.Map // directory to fingerprint
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"hold":       hold,
			"address":    address,
			"eventually": eventually,
			"appears":    appears,
			"remember":   func(ts *testscript.TestScript, neg bool, args []string) { remember(ts, &remembered, neg, args) },
			"unchanged":  func(ts *testscript.TestScript, neg bool, args []string) { unchanged(ts, &remembered, neg, args) },
		},
		UpdateScripts: os.Getenv("RIFFLE_UPDATE") != "",
	})
}

// hold DIR opens a store in this process, which is another one than the commands', until
// the script ends.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold DIR")
	}
	st, err := pebblestore.Open(ts.MkAbs(args[0]), &pebblestore.Options{FreeSpace: pebblestore.NoFreeSpaceCheck})
	ts.Check(err)
	ts.Defer(func() { ts.Check(st.Close()) })
}

// patience is how long the scripts wait for something to happen.
const patience = 30 * time.Second

// address FILE VARIABLE waits for a service to write its address, and keeps it in the
// environment. In a text it keeps what follows "http://".
func address(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: address FILE VARIABLE")
	}
	for deadline := time.Now().Add(patience); ; {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if at := bytes.Index(text, []byte("http://")); err == nil && at >= 0 && (at == 0 || text[len(text)-1] == '\n') {
			ts.Setenv(args[1], strings.TrimSpace(string(text[at:])))
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s has no address: %v", args[0], err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// appears FILE PATTERN waits until a file has a line that matches.
func appears(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: appears FILE PATTERN")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	for deadline := time.Now().Add(patience); ; {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && pattern.Match(text) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no %s in %s: %v", args[1], text, err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// eventually PATTERN COMMAND… runs a command until its output matches.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually PATTERN COMMAND [ARGUMENT…]")
	}
	pattern, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(patience); ; {
		err := ts.Exec(args[1], args[2:]...)
		if out := ts.ReadFile("stdout"); err == nil && pattern.MatchString(out) {
			return
		} else if time.Now().After(deadline) {
			ts.Fatalf("no %s in %s (%v)", args[0], out, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// fingerprint is the content of a directory.
type fingerprint map[string][sha256.Size]byte

// remember DIR notes every file of a directory, for unchanged DIR.
func remember(ts *testscript.TestScript, remembered *sync.Map, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: remember DIR")
	}
	remembered.Store(ts.MkAbs(args[0]), look(ts, args[0]))
}

// unchanged DIR fails when a file of the directory is another one than remember saw.
func unchanged(ts *testscript.TestScript, remembered *sync.Map, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unchanged DIR")
	}
	was, ok := remembered.Load(ts.MkAbs(args[0]))
	if !ok {
		ts.Fatalf("unchanged without remember")
	}
	before, now := was.(fingerprint), look(ts, args[0])
	for name, sum := range before {
		if now[name] != sum {
			ts.Fatalf("%s changed or is gone", name)
		}
	}
	for name := range now {
		if _, ok := before[name]; !ok {
			ts.Fatalf("%s is new", name)
		}
	}
}

func look(ts *testscript.TestScript, dir string) fingerprint {
	files := fingerprint{}
	ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = sha256.Sum256(data)
		return err
	}))
	return files
}
