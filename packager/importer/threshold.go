package importer

import (
	"maps"
	"slices"

	"skiff/formats/strictjson"
	"skiff/packager/graph"
)

// thresholds is what config.json says about the scores from which a label holds. It is no
// key of transformers' own: those who tune thresholds keep one number as "threshold", or
// "thresholds" in the order of the labels or by their names.
type thresholds struct {
	key    string // that said so; "" for none
	values []float64
	named  map[string]float64
}

// read reads either key.
func (t *thresholds) read(s *strictjson.Scanner, key string) error {
	off := s.Offset()
	if t.key != "" {
		return s.Errorf(off, "%s and %s at once", t.key, key)
	}
	t.key = key
	kind, err := s.Kind()
	if err != nil {
		return err
	}
	switch {
	case kind == strictjson.Array && key == "thresholds":
		t.values = []float64{}
		return s.Array(func(i int) error {
			if i == maxLabels {
				return s.Errorf(off, "more than %d thresholds", maxLabels)
			}
			v, err := threshold(s)
			t.values = append(t.values, v)
			return err
		})
	case kind == strictjson.Object && key == "thresholds":
		t.named = make(map[string]float64)
		return s.Object(func(label string) (err error) {
			t.named[label], err = threshold(s)
			return err
		})
	}
	v, err := threshold(s)
	t.values = []float64{v}
	return err
}

// threshold reads one score.
func threshold(s *strictjson.Scanner) (float64, error) {
	off := s.Offset()
	v, err := s.Float()
	if err == nil && !(v >= 0 && v <= 1) {
		return 0, s.Errorf(off, "%g is no score from 0 to 1", v)
	}
	return v, err
}

// checkThresholds wants one threshold for all labels, or one for each of them, of a model
// that judges each label by itself.
func (c *config) checkThresholds() error {
	t := &c.thresholds
	if t.key == "" {
		return nil
	}
	if c.head.task != graph.TaskClassify || c.problem != graph.MultiLabel || c.numLabels < 2 {
		return unsupported(c.file, t.key, "remove the key if the model does not depend on it", "thresholds of a model that does not judge each of its labels by itself")
	}
	if t.named == nil {
		if n := len(t.values); n != 1 && n != c.numLabels {
			return invalid(c.file, t.key, "", "%d thresholds for %d labels", n, c.numLabels)
		}
		return nil
	}
	for _, label := range slices.Sorted(maps.Keys(t.named)) {
		if !slices.Contains(c.labels, label) {
			return invalid(c.file, t.key, "", "%q is none of the labels", label)
		}
	}
	for _, label := range c.labels {
		v, ok := t.named[label]
		if !ok {
			return invalid(c.file, t.key, "", "none for the label %q", label)
		}
		t.values = append(t.values, v)
	}
	return nil
}
