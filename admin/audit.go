package admin

import (
	"log/slog"
	"net/http"
	"time"
)

// audit writes the line of an action: who wanted what, and what became of it.
func (h *Handler) audit(r *http.Request, in actionInput, err error, took time.Duration) {
	level, outcome := slog.LevelInfo, "done"
	if err != nil {
		level, outcome = slog.LevelWarn, "failed"
		if p := asProblem(err); p.Status < http.StatusInternalServerError {
			outcome = "refused"
		}
	}
	attrs := []slog.Attr{
		slog.String("verb", in.Verb),
		slog.String("projection", cut(in.Projection, maxValue)),
		slog.String("outcome", outcome),
		slog.String("remote", r.RemoteAddr),
		slog.Duration("took", took),
	}
	if h.options.Actor != nil {
		attrs = append(attrs, slog.String("actor", h.options.Actor(r)))
	}
	if in.Key != "" {
		attrs = append(attrs, slog.String("key", cut(in.Key, maxValue)))
	}
	if in.Position != 0 {
		attrs = append(attrs, slog.String("position", in.Position.String()))
	}
	if in.To != "" {
		attrs = append(attrs, slog.String("to", cut(in.To, maxValue)))
	}
	if in.Reason != "" {
		attrs = append(attrs, slog.String("reason", cut(in.Reason, maxReason)))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", cut(err.Error(), maxErrorText)))
	}
	h.logger.LogAttrs(r.Context(), level, "admin action", attrs...)
}

// auditForeign writes the line of a request that another site made a browser send. It was
// refused before anybody looked which action it meant.
func (h *Handler) auditForeign(r *http.Request, err error) {
	h.logger.LogAttrs(r.Context(), slog.LevelWarn, "admin request refused across origins",
		slog.String("method", r.Method),
		slog.String("path", cut(r.URL.Path, maxValue)),
		slog.String("origin", cut(r.Header.Get("Origin"), maxValue)),
		slog.String("remote", r.RemoteAddr),
		slog.String("error", cut(err.Error(), maxErrorText)),
	)
}
