package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// reading is an instrument whose values are read from a sample when somebody collects.
// Exactly one of whole and real is set.
type reading[S any] struct {
	Instrument
	whole func(*S, observeFunc[int64])
	real  func(*S, observeFunc[float64])
}

// observeFunc takes a value and the attributes it has besides those of the whole sample.
type observeFunc[N int64 | float64] func(value N, more ...attribute.KeyValue)

// observer is a reading with its instrument made.
type observer[S any] struct {
	reading[S]
	wholes metric.Int64Observable
	reals  metric.Float64Observable
}

// observe registers one callback for all readings. sample calls yield for every sample
// there is now, with its attributes; it must not block.
func observe[S any](m metric.Meter, rs []reading[S], sample func(yield func(*S, ...attribute.KeyValue))) (unregister func(), err error) {
	observers := make([]observer[S], len(rs))
	made := make([]metric.Observable, len(rs))
	var errs []error
	for i, r := range rs {
		o, err := newObserver(m, r)
		if err != nil {
			errs = append(errs, fmt.Errorf("telemetry: create instrument %s: %w; check the meter provider", r.Name, err))
			continue
		}
		observers[i] = o
		if r.whole != nil {
			made[i] = o.wholes
		} else {
			made[i] = o.reals
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	reg, err := m.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		sample(func(s *S, base ...attribute.KeyValue) {
			all := metric.WithAttributeSet(attribute.NewSet(base...))
			for _, o := range observers {
				o.observe(to, s, all)
			}
		})
		return nil
	}, made...)
	if err != nil {
		return nil, fmt.Errorf("telemetry: register the callback of %s and others: %w; check the meter provider", rs[0].Name, err)
	}
	return sync.OnceFunc(func() {
		if err := reg.Unregister(); err != nil {
			otel.Handle(fmt.Errorf("telemetry: unregister the callback of %s and others: %w", rs[0].Name, err))
		}
	}), nil
}

func (o *observer[S]) observe(to metric.Observer, s *S, base metric.MeasurementOption) {
	if o.whole != nil {
		o.whole(s, func(v int64, more ...attribute.KeyValue) {
			to.ObserveInt64(o.wholes, v, base, metric.WithAttributes(more...))
		})
		return
	}
	o.real(s, func(v float64, more ...attribute.KeyValue) {
		to.ObserveFloat64(o.reals, v, base, metric.WithAttributes(more...))
	})
}

func newObserver[S any](m metric.Meter, r reading[S]) (o observer[S], err error) {
	o.reading = r
	unit, text := metric.WithUnit(r.Unit), metric.WithDescription(r.Description)
	switch {
	case r.whole != nil && r.Kind == Counter:
		o.wholes, err = m.Int64ObservableCounter(r.Name, unit, text)
	case r.whole != nil && r.Kind == UpDownCounter:
		o.wholes, err = m.Int64ObservableUpDownCounter(r.Name, unit, text)
	case r.whole != nil && r.Kind == Gauge:
		o.wholes, err = m.Int64ObservableGauge(r.Name, unit, text)
	case r.real != nil && r.Kind == Counter:
		o.reals, err = m.Float64ObservableCounter(r.Name, unit, text)
	case r.real != nil && r.Kind == Gauge:
		o.reals, err = m.Float64ObservableGauge(r.Name, unit, text)
	default:
		err = fmt.Errorf("a %s cannot be observed", r.Kind)
	}
	return o, err
}
