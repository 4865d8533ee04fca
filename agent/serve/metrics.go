package serve

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// answered is a sort of request: where it went and how it ended.
type answered struct {
	path string // of the API, or "" for any other
	code int
}

// metrics count requests for GET /metrics, which answers in Prometheus' text format.
type metrics struct {
	mu    sync.Mutex // guards all below
	count map[answered]uint64
	took  map[answered]time.Duration
}

// counted is h with its requests counted. Paths are those of the mux's patterns, so their number is bounded.
func (m *metrics) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w, code: http.StatusOK}
		began := time.Now()
		h.ServeHTTP(rec, r)
		_, path, _ := strings.Cut(r.Pattern, " ") // "POST /v1/rank", or "/" of what there is not
		m.add(answered{path, rec.code}, time.Since(began))
	})
}

func (m *metrics) add(a answered, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.count == nil {
		m.count, m.took = map[answered]uint64{}, map[answered]time.Duration{}
	}
	m.count[a]++
	m.took[a] += d
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	code int
}

// WriteHeader notes the status.
func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// metrics tells which model answers and with which kernels, and what was asked.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	var text strings.Builder
	if l := s.take(); l != nil {
		info := l.model.Info()
		s.give(l)
		family(&text, "skiff_model_info", "gauge", "The model that answers, and which kernels run it.")
		fmt.Fprintf(&text, "skiff_model_info{name=%s,version=%s,digest=%s,task=%s,kernels=%s} 1\n",
			label(info.Name), label(info.Version), label(info.Digest), label(info.task()), label(info.Kernels))
		family(&text, "skiff_kernels_off", "gauge", "Faster kernels that do not answer, since they do not give the right bits here.")
		fmt.Fprintf(&text, "skiff_kernels_off %d\n", len(info.Off))
	}
	s.requests.write(&text)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write([]byte(text.String())) // the client is gone: nobody to tell
}

func (m *metrics) write(text *strings.Builder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sorts := slices.SortedFunc(maps.Keys(m.count), func(a, b answered) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.code, b.code))
	})
	family(text, "skiff_requests_total", "counter", "Requests answered.")
	for _, a := range sorts {
		fmt.Fprintf(text, "skiff_requests_total{path=%s,code=\"%d\"} %d\n", label(a.path), a.code, m.count[a])
	}
	family(text, "skiff_request_seconds_total", "counter", "Time from a request to its answer.")
	for _, a := range sorts {
		fmt.Fprintf(text, "skiff_request_seconds_total{path=%s,code=\"%d\"} %g\n", label(a.path), a.code, m.took[a].Seconds())
	}
}

func family(text *strings.Builder, name, kind, help string) {
	fmt.Fprintf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// label is a label's value as the text format quotes it.
func label(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(value, "?")) + `"`
}
