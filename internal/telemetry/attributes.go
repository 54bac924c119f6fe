package telemetry

import (
	"errors"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The keys of attributes that OpenTelemetry has no convention for.
const (
	aggregateKey  = attribute.Key("riffle.append.aggregate")
	streamsKey    = attribute.Key("riffle.append.streams")
	levelKey      = attribute.Key("riffle.pebble.level")
	rebuildKey    = attribute.Key("riffle.subscription.rebuild")
	stateKey      = attribute.Key("riffle.subscription.state")
	transitionKey = attribute.Key("riffle.lease.transition")
)

// The keys of attributes with a convention.
const (
	storeKey        = semconv.MessagingDestinationNameKey
	subscriptionKey = semconv.MessagingDestinationSubscriptionNameKey
)

// system is the value of messaging.system.
var system = semconv.MessagingSystemKey.String("riffle")

// sorted is a list of attribute keys as the tables hold it.
func sorted(keys ...attribute.Key) []string {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = string(k)
	}
	slices.Sort(names)
	return names
}

// with returns attrs and one more, in memory of its own.
func with(attrs []attribute.KeyValue, more attribute.KeyValue) []attribute.KeyValue {
	return append(attrs[:len(attrs):len(attrs)], more)
}

// typeOther stands for an error that does not say its type.
const typeOther = "_OTHER"

// conflict is what the store's conflict error answers from ErrorType.
const conflict = "conflict"

// typedError is an error that names its own kind.
type typedError interface {
	error
	ErrorType() string
}

// errorType is the value of error.type for err, which is not nil: what the first error of
// its tree with a method ErrorType answers.
func errorType(err error) string {
	if typed, ok := errors.AsType[typedError](err); ok {
		if name := typed.ErrorType(); isName(name) {
			return name
		}
	}
	return typeOther
}

// isName tells a name from a text. Errors of handlers are other people's: one that answers
// its whole message would make a new series for every event.
func isName(s string) bool {
	const longest = 64
	if s == "" || len(s) > longest {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '_', c == '-', c == '.', c == '/', c == '*':
		default:
			return false
		}
	}
	return true
}
