package match

import (
	"context"
	"errors"

	"skiff/formats/onnx"
	"skiff/packager/graph"
)

func build(ctx context.Context, m *onnx.Model, h Hints) (*graph.Model, Report, error) {
	return nil, Report{}, errors.New("not yet")
}
