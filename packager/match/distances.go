package match

import (
	"errors"

	"skiff/formats/onnx"
	"skiff/packager/graph"
)

// distances is graph.Disentangled.
type distances struct{}

func (w *walk) distancesOf(r *readScores, at *attention) (*distances, error) {
	if len(r.far) > 0 {
		return nil, errors.New("relative positions in scores")
	}
	return nil, nil
}

func (w *walk) timesTable(n *onnx.Node, x *tens, k *known) (value, error) {
	return nil, w.refuse(n, "a product with %v known numbers", k.shape)
}

func (w *walk) tableTimes(n *onnx.Node, k *known, y *tens) (value, error) {
	return nil, w.refuse(n, "a product with %v known numbers", k.shape)
}

func (e *emitter) distances(d *distances) graph.Relative { return nil }
