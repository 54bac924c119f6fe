package browsertest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.String("screenshots", "", "write pictures of every view into this directory")

// tab is a tab of a browser that remembers everything that went wrong in it.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string // of the service

	mu      sync.Mutex
	wrong   []string
	expects []string // parts of the texts of errors that are no surprise
}

// needs skips a test, or fails it in CI, when something is not installed.
func needs(t *testing.T, what, how string) {
	t.Helper()
	if os.Getenv("RIFFLE_CI") != "" {
		t.Fatalf("%s is missing, and RIFFLE_CI is set: %s", what, how)
	}
	t.Skipf("NOT TESTED: %s is missing: %s", what, how)
}

// browser starts one Chromium for all tests; it ends with the process.
var browser = sync.OnceValues(func() (context.Context, error) {
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		return nil, exec.ErrNotFound
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.DisableGPU, chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("hide-scrollbars", true),
	)
	if os.Geteuid() == 0 { // Chromium's sandbox refuses to run as root
		options = append(options, chromedp.NoSandbox)
	}
	allocator, _ := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	stop = cancel
	return ctx, chromedp.Do(ctx)
})

// stop ends the browser.
var stop = func() {}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	stop()
	os.Exit(code)
}

// open opens a tab of its own profile. What goes wrong in it fails the test at its end.
func open(t *testing.T, s *service) *tab {
	t.Helper()
	parent, err := browser()
	if err != nil {
		needs(t, "Chromium", fmt.Sprintf("install it (Debian: apt-get install chromium): %v", err))
	}
	b := &tab{t: t, url: s.url}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.listen))
	ctx, end := context.WithTimeout(ctx, 8*time.Minute)
	b.ctx = ctx
	t.Cleanup(func() {
		b.check()
		end()
		cancel()
	})
	_, err = chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `document.addEventListener("securitypolicyviolation", (e) => console.error("CSP: " + e.violatedDirective + " " + e.blockedURI));`,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.screen(1280, 860)
	return b
}

// listen notes errors of the console, exceptions, violations of the policy and dialogs.
func (b *tab) listen(ev any) {
	var text string
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		if ev.Type != runtime.ConsoleAPICalledTypeError && ev.Type != runtime.ConsoleAPICalledTypeWarning {
			return
		}
		for _, arg := range ev.Args {
			text += fmt.Sprintf("%s%s ", arg.Value, arg.Description)
		}
	case *runtime.EventExceptionThrown:
		text = "exception: " + ev.ExceptionDetails.Text
		if e := ev.ExceptionDetails.Exception; e != nil {
			text += " " + e.Description
		}
	case *cdplog.EventEntryAdded:
		if ev.Entry.Level != cdplog.EntryLevelError && ev.Entry.Level != cdplog.EntryLevelWarning {
			return
		}
		text = fmt.Sprintf("log (%s): %s %s", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL)
	case *page.EventJavascriptDialogOpening:
		text = "a dialog opened: " + ev.Message
	default:
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, text)
}

// expect says that errors with this text are no surprise, such as the status of a page that
// shows a problem.
func (b *tab) expect(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expects = append(b.expects, text)
}

// check fails the test for everything that went wrong so far.
func (b *tab) check() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.wrong {
		known := false
		for _, expected := range b.expects {
			known = known || strings.Contains(text, expected)
		}
		if !known {
			b.t.Errorf("in the browser: %s", text)
		}
	}
	b.wrong = nil
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		where, _ := chromedp.Run(b.ctx, chromedp.Location())
		b.t.Fatalf("%v (at %s)", err, where)
	}
}

// visit opens a page of the service.
func (b *tab) visit(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.url + path))
}

// screen sets the size of the window.
func (b *tab) screen(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// dark switches the preferred colours.
func (b *tab) dark(on bool) {
	b.t.Helper()
	value := "light"
	if on {
		value = "dark"
	}
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}, {Name: "prefers-reduced-motion", Value: "reduce"}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		b.t.Fatal(err)
	}
}

// script switches script in pages that are opened from now on.
func (b *tab) script(on bool) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		b.t.Fatal(err)
	}
}

// eval evaluates an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// until waits until an expression is true in the page.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	b.within(30*time.Second, what, expression)
}

// within is until with another patience.
func (b *tab) within(patience time.Duration, what, expression string) {
	b.t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		good, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`Boolean(`+expression+`)`))
		cancel()
		if err == nil && good {
			return
		}
		select {
		case <-tick.C:
		case <-b.t.Context().Done():
			b.t.Fatal(b.t.Context().Err())
		}
		if time.Now().After(deadline) {
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.querySelector("main").innerText`))
			b.t.Fatalf("waited in vain: %s (%v); the page says:\n%.2000s", what, err, text)
		}
	}
}

// click clicks the middle of the first element, with the mouse.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.until(selector+" is there", fmt.Sprintf(`document.querySelector(%q)?.checkVisibility()`, selector))
	at := eval[[]float64](b, fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e.scrollIntoView({block: "center", behavior: "instant"});
		const box = e.getBoundingClientRect();
		return [box.left + box.width / 2, box.top + box.height / 2];
	})()`, selector))
	b.do(chromedp.MouseClickXY(at[0], at[1]))
}

// fill clicks into a field, and types into it in place of what it has.
func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.click(selector)
	eval[bool](b, `document.activeElement.select(), true`)
	b.do(chromedp.KeyEvent(text))
}

// text is the text of the first element.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ""`, selector))
}
