package serve

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// noted is a model that runs with slower kernels than it could.
type noted struct{ *fake }

func (n noted) Info() Info {
	info := n.fake.Info()
	info.Name, info.Kernels, info.Off = "a \"b\"\\\n", "avx2+wasm", []string{"avx512: linear"}
	return info
}

func TestMetrics(t *testing.T) {
	s := listen(t, Config{})
	h := s.Handler()
	ask := func(method, path, body string) string {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body)))
		return rec.Body.String()
	}
	if got := ask(http.MethodGet, "/metrics", ""); strings.Contains(got, "skiff_model_info") || !strings.Contains(got, "# TYPE skiff_requests_total counter\n") {
		t.Errorf("without a model:\n%s", got)
	}
	s.Swap(noted{&fake{name: "x"}})
	t.Cleanup(func() { s.Swap(nil) })
	ask(http.MethodPost, "/v1/embeddings", `{"input":"x"}`)
	ask(http.MethodPost, "/v1/embeddings", `{"input":"y"}`)
	ask(http.MethodPost, "/v1/embeddings", `{`)
	ask(http.MethodGet, "/v1/models/any", "")
	ask(http.MethodGet, "/no/such/page", "")
	got := ask(http.MethodGet, "/metrics", "")
	for _, want := range []string{
		`skiff_model_info{name="a \"b\"\\\n",version="1",digest="d",task="embed",kernels="avx2+wasm"} 1` + "\n",
		"skiff_kernels_off 1\n",
		`skiff_requests_total{path="/v1/embeddings",code="200"} 2` + "\n",
		`skiff_requests_total{path="/v1/embeddings",code="400"} 1` + "\n",
		`skiff_requests_total{path="/v1/models/{name}",code="404"} 1` + "\n",
		`skiff_requests_total{path="",code="404"} 1` + "\n",
		`skiff_request_seconds_total{path="/v1/embeddings",code="200"} `,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
