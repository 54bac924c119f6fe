package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffle-go/riffle/internal/telemetry"
)

func Example() {
	spans := tracetest.NewSpanRecorder()
	store, err := telemetry.NewStore(telemetry.StoreConfig{
		Name:           "orders",
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
	})
	if err != nil {
		log.Fatal(err)
	}

	_, a := store.StartAppend(context.Background(), "bank/account", 1, 2)
	fmt.Println("traceparent has", len(a.Traceparent()), "characters")
	a.End(errors.New("the disk is gone"))

	span := spans.Ended()[0]
	fmt.Println(span.SpanKind(), span.Name(), span.Status().Code, span.Status().Description)
	// Output:
	// traceparent has 55 characters
	// producer append orders Error _OTHER
}
