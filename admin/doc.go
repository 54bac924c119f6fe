// Package admin shows an engine and its store to the people who operate them, and lets
// them act on it: a JSON API and a page, one [http.Handler] to mount under any prefix.
//
//	page, err := admin.New(eng, &admin.Options{Authorize: operatorsOnly})
//	mux.Handle("/admin/", http.StripPrefix("/admin", page))
//	mux.Handle("GET /livez", admin.Live(eng))
//	mux.Handle("GET /readyz", admin.Ready(eng))
//	server.RegisterOnShutdown(page.Close)
//
// # Routes
//
// All are relative to where the Handler is mounted; api/openapi.yaml describes them with
// their parameters, schemas and problems.
//
//	GET   api/openapi.yaml                     this API, as OpenAPI 3.1
//	GET   api/v1/overview                      head, append rate, disk, health, counts
//	GET   api/v1/subscriptions                 all projections
//	GET   api/v1/subscriptions/{name}          one, with generations, settings, skips
//	GET   api/v1/subscriptions/{name}/parked   events set aside    ?key state after limit
//	POST  api/v1/subscriptions/{name}/pause    {"reason"}
//	POST  api/v1/subscriptions/{name}/resume   {}
//	POST  api/v1/subscriptions/{name}/retry    {"key"}, without: all keys
//	POST  api/v1/subscriptions/{name}/skip     {"confirm","key","position"}
//	POST  api/v1/subscriptions/{name}/rewind   {"confirm","to"}
//	POST  api/v1/subscriptions/{name}/rebuild  {"confirm"}
//	POST  api/v1/subscriptions/{name}/release  {"confirm"}
//	GET   api/v1/events                        a page of the log   ?type aggregate id name routing_key from to order after before limit
//	GET   api/v1/events/{position}             one event with its metadata
//	GET   api/v1/events/{position}/causation   what caused it, what it caused
//	GET   api/v1/events/{position}/stream      its stream around it    ?around
//	GET   api/v1/types                         event types, with the last event of each
//	GET   api/v1/streams                       streams of an aggregate ?aggregate prefix after limit
//	GET   api/v1/models                        models that have states
//	GET   api/v1/models/{name}/states          states by key       ?prefix after limit
//	GET   api/v1/models/{name}/state           one state           ?key at
//	GET   api/v1/models/{name}/history         the versions of one state   ?key order after before limit
//	GET   api/v1/store                         limits, traits, disk by key space, backups
//	POST  api/v1/store/backup                  {}
//	GET   api/v1/stream                        overview and subscriptions each second (server-sent events)
//	GET   live, ready                          as [Live] and [Ready]
//
// Names of projections are in the path, percent-encoded (a slash is %2F). Keys, stream ids
// and aggregates, which may hold any text, are always query parameters. A point in time
// (from, to, at) is "head", a position, a time in RFC 3339, or, for a state, "version:7".
// Positions are strings, cursors opaque, and times are UTC. Errors are
// application/problem+json (RFC 9457), whose type is one of the urn:riffle:problem: names
// in the description.
//
// # Security
//
// Without Options the handler only reads, and masks payloads. Who may act is decided by
// [Options].Authorize, who may read by [Options].AuthorizeRead; this package authenticates
// nobody: put that in front. Requests across origins cannot change anything
// ([http.CrossOriginProtection], and JSON or form content types only), there are no CORS
// headers, pages carry a strict Content-Security-Policy, and hosts that were not named are
// refused against DNS rebinding, see [Options].Hosts. What destroys work repeats the name
// of the subscription. Every action leaves a line in the log, whether it was allowed or not.
//
// # Failure
//
// A Handler has no state of its own that could fail. It goes on reading when its store has
// failed, and says so. Lists, bodies, parameters, streams and the time of a request are
// bounded. [Handler.Close] ends the streams; whoever closes the store closes the Handler
// first.
package admin
