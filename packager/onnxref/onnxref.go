// Package onnxref says what an ONNX graph means: a reference interpreter of the
// operators that transformer encoders are exported with, slow and obviously
// right. The importer compares with it what it made of a graph, and computes
// with it the constants that a graph spells out as arithmetic.
//
//	onnx.Model + named inputs -> node by node, in order -> named outputs
//
//	tensor.go  arrays; half.go rounds to the narrow float types
//	session.go which nodes a wanted tensor needs, in what order, and what may go
//	eval.go    one node: its operator, its operands, its budget
//	walk.go    shapes, broadcasting, and the walk over every position of an array
//
// and the operators by kind: elementwise.go, logic.go, matmul.go, einsum.go,
// reduce.go, norm.go, move.go, gather.go, create.go, quant.go, contrib.go.
//
// It must not import packager/graph: it knows nothing of blocks.
//
// Floating-point values are held as float32. Elementwise arithmetic is done in
// float64 and rounded once, which gives the float32 result of + - * / and sqrt;
// sums are kept in float64. Results of half types are rounded to half precision.
//
// Shapes are the file's own. Every size is checked against a budget before
// anything is allocated, and every amount of arithmetic against a multiple of it.
package onnxref
