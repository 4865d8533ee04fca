//go:build !amd64 && !arm64

package native

func sets() []*Set { return nil }

func wasmPeak() Instruction { return Instruction{} }
