package onnx

// Limits on what one file may say. The largest exports of encoders have some ten
// thousand nodes and, with functions written out, four levels of calls.
const (
	minIR = 3
	maxIR = 14 // of ONNX 1.23

	minOpset = 7  // broadcasting as it is today
	maxOpset = 28 // of ONNX 1.23

	maxNodes    = 100_000 // with those of subgraphs and of functions, once for each call
	maxTensors  = 100_000
	maxValues   = 100_000   // inputs and outputs of graphs
	maxEdges    = 2_000_000 // inputs, outputs and attributes of all nodes
	maxRank     = 16
	maxName     = 8192 // bytes
	maxInlined  = 16 << 20
	maxDepth    = 16 // of graphs in attributes
	maxCalls    = 64 // of functions by functions
	maxFiles    = 1000
	maxMetadata = 10_000
	maxOpsets   = 1000
	maxFuncs    = 10_000
	maxFilled   = 1 << 30 // elements of a tensor whose shape is a constant
)

// edgesOf says what maxEdges bounds.
const edgesOf = "inputs, outputs and attributes of nodes"
