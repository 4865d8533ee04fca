package kernel

// Exp is the exponential that the kernels compute, for code that turns their results
// into answers: the same bits on every CPU. See the edges in the package comment.
func Exp(x float32) float32 { return exp(x) }
