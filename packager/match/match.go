// Package match turns an ONNX graph into a graph.Model by what its operations
// compute, never by what anything is called.
//
// It must not import a kernel, a bundle or anything of the network.
package match
