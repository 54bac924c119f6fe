// Package api is a client of the admin API: over HTTP, or straight into a handler of the same
// process. Its types are those of the API's description, api/openapi.yaml.
//
// # Failure
//
// What the service refuses is a *[Problem]. Everything else that is not an answer of the API
// is an error that says what to look at: the address, the credentials, the service.
package api
