package packager

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"skiff/runtime/infer"
)

// AllLabels is the key in Config.Thresholds for every label that is not named there.
const AllLabels = ""

// thresholds puts those of the Config over the model's own: one for all labels, or one a label.
func (c Config) thresholds(t Task) ([]float64, error) {
	if len(c.Thresholds) == 0 {
		return t.Thresholds, nil
	}
	if t.Name != infer.TaskClassify {
		return nil, fmt.Errorf("thresholds: the model is for the task %s and has no labels to judge by scores", t.Name)
	}
	for _, label := range slices.Sorted(maps.Keys(c.Thresholds)) {
		v := c.Thresholds[label]
		if !(v >= 0 && v <= 1) {
			return nil, fmt.Errorf("threshold %g: want 0 to 1", v)
		}
		if label != AllLabels && !slices.Contains(t.Labels, label) {
			return nil, fmt.Errorf("threshold for %q: the model has the labels %s", label, strings.Join(t.Labels, ", "))
		}
	}
	if v, ok := c.Thresholds[AllLabels]; ok && len(c.Thresholds) == 1 {
		return []float64{v}, nil
	}
	out := make([]float64, len(t.Labels))
	for i, label := range t.Labels {
		var err error
		if out[i], err = c.threshold(t, i, label); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// threshold is that of label i.
func (c Config) threshold(t Task, i int, label string) (float64, error) {
	if v, ok := c.Thresholds[label]; ok {
		return v, nil
	}
	if v, ok := c.Thresholds[AllLabels]; ok {
		return v, nil
	}
	if len(t.Thresholds) > 0 {
		return t.Thresholds[min(i, len(t.Thresholds)-1)], nil
	}
	return 0, errors.New("threshold: none for the label " + label + ", nor one for all")
}
