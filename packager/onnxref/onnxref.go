// Package onnxref says what an ONNX graph means: a reference interpreter of the
// operators that transformer encoders are exported with, slow and obviously
// right. The importer compares with it what it made of a graph, and computes
// with it the constants that a graph spells out as arithmetic.
//
//	onnx.Model + named inputs -> node by node, in order -> named outputs
//
// It must not import packager/graph: it knows nothing of blocks.
//
// Shapes are the file's own. Every size is checked against a budget before
// anything is allocated.
package onnxref

import "skiff/formats/tensor"

// Tensor is an array of one element type; exactly one of the slices is in use.
type Tensor struct {
	DType tensor.DType
	Shape []int
	F     []float32 // F32, and F16, BF16 and F64 rounded to float32 (F16 results are rounded to half precision again)
	I     []int64   // I8, U8, I16, I32, I64 and Bool (0 or 1)
}
