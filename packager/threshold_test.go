package packager

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"skiff/runtime/infer"
)

// TestThresholds: the user's go before the model's own, label by label.
func TestThresholds(t *testing.T) {
	labels := []string{"a", "b"}
	for _, c := range []struct {
		given map[string]float64
		task  Task
		want  []float64
		err   string
	}{
		{nil, Task{Name: infer.TaskClassify, Labels: labels}, nil, ""},
		{nil, Task{Name: infer.TaskEmbed}, nil, ""},
		{nil, Task{Name: infer.TaskClassify, Labels: labels, Thresholds: []float64{0.1, 0.2}}, []float64{0.1, 0.2}, ""},
		{map[string]float64{AllLabels: 0.4}, Task{Name: infer.TaskClassify, Labels: labels, Thresholds: []float64{0.1, 0.2}}, []float64{0.4}, ""},
		{map[string]float64{AllLabels: 0.4, "b": 0.5}, Task{Name: infer.TaskClassify, Labels: labels}, []float64{0.4, 0.5}, ""},
		{map[string]float64{"b": 0.5}, Task{Name: infer.TaskClassify, Labels: labels, Thresholds: []float64{0.1}}, []float64{0.1, 0.5}, ""},
		{map[string]float64{"a": 0.5}, Task{Name: infer.TaskClassify, Labels: labels, Thresholds: []float64{0.1, 0.2}}, []float64{0.5, 0.2}, ""},
		{map[string]float64{AllLabels: 0.4, "b": 0.5}, Task{Name: infer.TaskClassify, Labels: labels, Thresholds: []float64{0.1, 0.2}}, []float64{0.4, 0.5}, ""},
		{map[string]float64{"b": 0.5}, Task{Name: infer.TaskClassify, Labels: labels}, nil, "none for the label a"},
		{map[string]float64{"c": 0.5}, Task{Name: infer.TaskClassify, Labels: labels}, nil, "the model has the labels a, b"},
		{map[string]float64{"a": 2}, Task{Name: infer.TaskClassify, Labels: labels}, nil, "want 0 to 1"},
		{map[string]float64{AllLabels: 0.5}, Task{Name: infer.TaskTag, Labels: labels}, nil, "the model is for the task tag and has no labels"},
	} {
		got, err := Config{Thresholds: c.given}.thresholds(c.task)
		if diff := cmp.Diff(c.want, got); diff != "" || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v over %v: %v, want %q\n%s", c.given, c.task.Thresholds, err, c.err, diff)
		}
	}
}
