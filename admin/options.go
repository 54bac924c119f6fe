package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/riffle-go/riffle/store"
)

// Defaults of Options.
const (
	// DefaultTimeout bounds the work of one request that reads.
	DefaultTimeout = 10 * time.Second
	// DefaultStreamClients is how many clients may watch api/v1/stream at once.
	DefaultStreamClients = 64
)

// The verbs of an [Action].
const (
	VerbRead    = "read"
	VerbPause   = "pause"
	VerbResume  = "resume"
	VerbRetry   = "retry"
	VerbSkip    = "skip"
	VerbRewind  = "rewind"
	VerbRebuild = "rebuild"
	VerbRelease = "release"
	VerbBackup  = "backup"
)

// Action is what a request wants to do.
type Action struct {
	Verb       string // one of the Verb constants
	Projection string // "" where it concerns no single one, as in lists and backups
	Key        string // of a state or of events set aside; "" where it concerns no single one
	_          struct{}
}

// Options are the optional settings of a Handler. They are copied.
type Options struct {
	// Authorize decides whether a request may act: nil allows it, an error refuses it, and its
	// text is shown to whoever asked. Only verbs that change something come here. It must be
	// safe for concurrent use. Default nil: the Handler only reads.
	Authorize func(r *http.Request, a Action) error

	// AuthorizeRead decides whether a request may read, in the same way; Verb is VerbRead. Lists
	// come with an empty Projection and show everything. live, ready, the description of the
	// API and the page's own files are not asked about. Default nil: everybody whom the
	// program lets through to the Handler may read.
	AuthorizeRead func(r *http.Request, a Action) error

	// Actor names who sent a request, for the log. Default: nobody is named, and the line has
	// the remote address alone.
	Actor func(r *http.Request) string

	// Payloads says what is shown of payloads and states. Default Masked.
	Payloads Payloads

	// Hosts are the names under which the Handler is reached, without port: "admin.example.com",
	// or "*.example.com" for all names below one. A request for another host is refused, so
	// that a page of somebody else cannot reach a server of an internal network by a name that
	// resolves to its address (DNS rebinding). Names of this machine (localhost and those below
	// it) and plain IP addresses, which cannot be rebound, are always let through. "*" lets
	// every host through; use it only where every request must authenticate. Default: none
	// beyond these.
	Hosts []string

	// BackupDir is the whole path of an existing directory. Backups are made in it, under names
	// that the Handler gives; on the disk of the store they are cheap at first, because files
	// are linked. Default "": backups are refused.
	BackupDir string

	// Disk tells what the store takes on disk, for the overview and the store's page. It is
	// asked at most every few seconds, must be quick, and must heed its context: requests wait
	// for it. Default: the store, if its driver knows; else the views have no numbers of the
	// disk.
	Disk func(ctx context.Context) (Disk, error)

	// Timeout bounds the work of one request that reads; actions have three times as long, a
	// stream has no bound. Default DefaultTimeout (10 s), at least 100 ms.
	Timeout time.Duration

	// StreamClients is how many clients may watch the stream of samples at once; one more is
	// answered 503. Default DefaultStreamClients (64).
	StreamClients int

	// Logger gets a line for every action, and what goes wrong. Default: the store's.
	Logger *slog.Logger

	_ struct{}
}

// Payloads says what is shown of payloads and states. Error texts of handlers, metadata,
// keys and ids are shown in any case.
type Payloads int

// What is shown of payloads.
const (
	Masked Payloads = iota // names of fields and types of values, no value
	Hidden                 // nothing but their size
	Full                   // everything
)

func (p Payloads) String() string {
	switch p {
	case Masked:
		return "masked"
	case Hidden:
		return "hidden"
	case Full:
		return "full"
	default:
		return fmt.Sprintf("Payloads(%d)", int(p))
	}
}

func (o *Options) withDefaults(st *store.Store) Options {
	var c Options
	if o != nil {
		c = *o
	}
	c.Hosts = append([]string(nil), c.Hosts...)
	if c.Disk == nil {
		c.Disk = diskOf(st)
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.StreamClients == 0 {
		c.StreamClients = DefaultStreamClients
	}
	if c.Logger == nil {
		c.Logger = st.Options().Logger
	}
	return c
}

func (o *Options) validate() error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, &store.InvalidError{Field: "Options." + field, Reason: fmt.Sprintf(format, args...)})
	}
	if o.Payloads < Masked || o.Payloads > Full {
		fault("Payloads", "is %d; use Masked, Hidden or Full", int(o.Payloads))
	}
	for _, host := range o.Hosts {
		if reason := faultOfHost(host); reason != "" {
			fault("Hosts", "%q %s", host, reason)
		}
	}
	if o.BackupDir != "" && !filepath.IsAbs(o.BackupDir) {
		fault("BackupDir", "%q is relative; give the whole path, so that it does not depend on where the program was started", o.BackupDir)
	}
	if o.Timeout < 100*time.Millisecond {
		fault("Timeout", "is %v; it must be at least 100ms", o.Timeout)
	}
	if o.StreamClients < 0 {
		fault("StreamClients", "is negative; 0 is the default")
	}
	return errors.Join(faults...)
}
